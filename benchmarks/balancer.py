"""A plain proxy before several servers: Debian's nginx. Each gets requests in turn, but one that is down."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

NGINX = "/usr/sbin/nginx"
CONFIGURATION = """
daemon off; pid {folder}/pid; worker_processes 1; error_log stderr crit; {user}
events {{ worker_connections 512; }}
http {{
    access_log off; client_max_body_size 64m;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    upstream replicas {{ {servers} keepalive 32; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://replicas;
            proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host 127.0.0.1;
        }}
    }}
}}
"""


@contextmanager
def balancing(ports: Sequence[int]) -> Iterator[int]:
    """The port of a proxy before servers on these ports. Raises FileNotFoundError if nginx is not installed."""
    if not shutil.which(NGINX):
        raise FileNotFoundError("nginx is not installed (Debian: nginx-light)")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        servers = " ".join(f"server 127.0.0.1:{each} max_fails=1 fail_timeout=1s;" for each in ports)
        user = "user root;" if os.geteuid() == 0 else ""
        path = Path(folder) / "configuration"
        path.write_text(CONFIGURATION.format(folder=folder, user=user, servers=servers, port=port))
        with subprocess.Popen([NGINX, "-p", folder, "-e", "stderr", "-c", path]) as process:
            try:
                _wait(port, process)
                yield port
            finally:
                process.terminate()


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(500):
        assert process.poll() is None
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("nginx does not listen")
