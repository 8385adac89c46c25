"""Real proxies of Debian's in front of a server, with the blocks that docs/proxies.md prints."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "proxies.md").read_text("utf-8")
NGINX, HAPROXY = "/usr/sbin/nginx", "/usr/sbin/haproxy"
NAME = "plant.example"
AROUND = {
    NGINX: """
daemon off; pid {folder}/pid; worker_processes 1; error_log stderr; {user}
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
{block}
}}
""",
    HAPROXY: """
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s

{block}
""",
}
"""What stands about a block in a whole configuration; ours are run by any user in a folder of their own."""


def block(language: str, *, begins: str = "") -> str:
    """The one block of a language in the document that begins so."""
    (found,) = re.findall(rf"^```{language}\n({begins}.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    return str(found)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def proxied(program: str, block: str, upstream: int, folder: Path) -> Iterator[int]:
    """Run a proxy with this block in front of a server's port; gives its own port. Only ports of the block change."""
    if not shutil.which(program):
        name = Path(program).name
        # skipped, not failed: the proxies are programs of Debian; `.ci/run` installs them
        pytest.skip(f"there is no {program}; install it with: apt-get install {name}")
    port = free_port()
    folder.mkdir()
    block = block.replace("127.0.0.1:8000", f"127.0.0.1:{upstream}")
    block, num = re.subn(r"(listen |bind :)80\b", lambda found: _at(found[1], port), block)
    assert num == 1
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "configuration").write_text(AROUND[program].format(folder=folder, block=block, user=user))
    arguments = ["-p", folder, "-e", "stderr", "-c"] if program == NGINX else ["-db", "-f"]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen([program, *arguments, folder / "configuration"], stdout=log, stderr=log) as process,
    ):
        try:
            _wait(port, process, folder / "log")
            yield port
        finally:
            process.terminate()


def _at(directive: str, port: int) -> str:
    """On this machine only."""
    return f"listen 127.0.0.1:{port}" if directive == "listen " else f"bind 127.0.0.1:{port}"


def _wait(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(500):
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(log.read_text())
