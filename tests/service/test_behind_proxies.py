"""The service behind nginx and HAProxy: calls, uploads, the client's address, and what is refused with which words."""

import io
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.edge.request_log import logging_to
from service.settings import Settings
from tests.service.fakes import Instance, open_instance, png
from tests.service.proxies import HAPROXY, NAME, NGINX, block, free_port, proxied
from tests.service.routes.test_score import code
from tests.service.test_load import eventually

DOCUMENTED = {NGINX: block("nginx", begins="server"), HAPROXY: block("haproxy", begins="frontend")}
SETTINGS: dict[str, Any] = {
    "root_path": "/anomaly", "allowed_hosts": (NAME,), "trusted_proxies": "127.0.0.1", "insecure": True,
}  # fmt: skip
PLAIN = "server { listen 80; location / { proxy_pass http://127.0.0.1:8000; } }"
STRIPPED = "server { listen 80; location /anomaly/ { proxy_pass http://127.0.0.1:8000/; } }"


@contextmanager
def behind(program: str, conf: str, folder: Path, **settings: Any) -> Iterator[tuple[httpx.Client, Instance]]:
    """A client that calls a server as `plant.example` through a proxy, and the server."""
    with open_instance(folder / "models", **settings) as instance:
        upstream = instance.client.base_url.port or 0
        with proxied(program, conf, upstream, folder / "proxy") as port:
            head = {"Host": f"{NAME}:{port}"}
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=head, trust_env=False, timeout=20) as client:
                yield client, instance


def own_page(client: httpx.Client) -> dict[str, str]:
    """What a browser sends with a request of the server's own page."""
    return {"Origin": f"http://{client.headers['Host']}"}


@pytest.mark.parametrize("program", DOCUMENTED, ids=["nginx", "haproxy"])
def test_the_documented_block_shows_all_of_it_under_its_prefix(program: str, tmp_path: Path) -> None:
    stream = io.StringIO()
    with (
        logging_to(stream, Settings(log_format="json")),
        behind(program, DOCUMENTED[program], tmp_path, **SETTINGS) as (client, _),
    ):
        redirected = client.get("/anomaly")
        assert redirected.status_code == 308
        assert redirected.headers["Location"].endswith("/anomaly/")
        asked = client.get("/anomaly?model=m&alpha=0.01").headers["Location"]
        assert asked.endswith("/anomaly/?model=m&alpha=0.01")
        assert "<title>anomaly</title>" in client.get("/anomaly/").text
        assert client.get("/anomaly/static/main.js").headers["Content-Type"].startswith("text/javascript")
        assert client.get("/anomaly/static-offline-docs/swagger-ui.css").status_code == 200
        assert client.get("/anomaly/openapi.json").json()["servers"] == [{"url": "/anomaly"}]
        large = png(7) + bytes(3 * 2**20)  # more than nginx takes unless told to
        head = {"X-Forwarded-For": "203.0.113.9", "X-Part-ID": "A-17", **own_page(client)}
        answer = client.post("/anomaly/score", files={"file": ("seven.png", large)}, headers=head).json()
        assert (answer["score"], answer["part"], answer["filename"]) == (7.0, "A-17", "seven.png")
        chunked = iter([png(7)[:20], png(7)[20:]])
        answer = client.post("/anomaly/score", content=chunked, headers=head | {"Content-Type": "image/png"}).json()
        assert answer["score"] == 7.0
        foreign = client.post("/anomaly/score", content=png(7), headers={"Origin": "http://evil.example"})
        assert code(foreign) == (403, "cross_site_request")
    lines = [json.loads(line) for line in stream.getvalue().splitlines() if '"/score"' in line]
    # the proxy appends 127.0.0.1, which is trusted here, so what the client says of itself is taken
    assert {line["client"] for line in lines if line["status"] == 200} == {"203.0.113.9"}


@pytest.mark.parametrize("conf", [PLAIN, STRIPPED], ids=["plain", "stripped"])
def test_a_plain_proxy_pass_works_or_the_refusal_says_what_to_change(conf: str, tmp_path: Path) -> None:
    with behind(NGINX, conf, tmp_path, root_path="/anomaly") as (client, instance):
        assert "<title>anomaly</title>" in client.get("/anomaly/").text
        image = {"Content-Type": "image/png", **own_page(client)}
        refused = client.post("/anomaly/score", content=png(7), headers=image)
        assert code(refused) == (403, "cross_site_request")
        host = client.headers["Host"]
        upstream = f"'127.0.0.1:{instance.client.base_url.port}'"
        for words in (f"http://{host}", upstream, f"--allowed-hosts {host} (ANOMALY_ALLOWED_HOSTS)", "the header Host"):
            assert words in refused.json()["error"]["message"]
        secure = image | {"Sec-Fetch-Site": "same-origin"}  # as browsers add it to what they send over HTTPS
        assert client.post("/anomaly/score", content=png(7), headers=secure).json()["score"] == 7.0
        other = image | {"Sec-Fetch-Site": "cross-site"}
        assert client.post("/anomaly/score", content=png(7), headers=other).status_code == 403


def test_a_name_that_the_server_does_not_know_is_refused_with_the_option(tmp_path: Path) -> None:
    with behind(HAPROXY, DOCUMENTED[HAPROXY], tmp_path, root_path="/anomaly") as (client, _):
        refused = client.get("/anomaly/models")
        assert code(refused) == (400, "unknown_host")
        message = refused.json()["error"]["message"]
        assert f"'{NAME}', which the header Host names" in message
        assert f"--allowed-hosts {NAME} (ANOMALY_ALLOWED_HOSTS)" in message


def test_a_health_check_of_haproxys_finds_the_server_ready(tmp_path: Path) -> None:
    with behind(HAPROXY, DOCUMENTED[HAPROXY], tmp_path, **SETTINGS) as (client, _):
        assert client.get("/anomaly/readyz").json()["ready"] is True
        assert client.get("/elsewhere").status_code == 503  # HAProxy's own: the block is for the prefix only


class LateOnce(BaseHTTPRequestHandler):
    """A busy server: it answers `/readyz` late, and then all at once."""

    answered = threading.Event()

    def do_GET(self) -> None:
        """Late is later than HAProxy waits if nothing is said."""
        if self.path == "/readyz" and not self.answered.is_set():
            time.sleep(3)
            self._answer()
            self.answered.set()
        else:
            self._answer()

    def _answer(self) -> None:
        with suppress(OSError):
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()


def test_haproxy_does_not_take_out_a_server_that_is_late_to_say_that_it_is_ready(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), LateOnce) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            with proxied(HAPROXY, DOCUMENTED[HAPROXY], server.server_port, tmp_path / "proxy") as port:
                assert LateOnce.answered.wait(30)
                url = f"http://127.0.0.1:{port}/anomaly/models"
                assert httpx.get(url, trust_env=False, timeout=20).status_code == 200
        finally:
            server.shutdown()
            thread.join()


def limited(program: str) -> str:
    """The block with the documented lines on connections of one address, of which there may be 2 in place of 32."""
    conf = DOCUMENTED[program]
    if program == NGINX:
        outside, inside, _ = block("nginx", begins="limit_conn_zone").split("\n")
        conf = outside + "\n" + conf.replace("listen 80;", f"listen 80; {inside}")
    else:
        conf = conf.replace("bind :80\n", f"bind :80\n{block('haproxy', begins='stick-table')}")
    assert "32" in conf
    return conf.replace("32", "2")


@pytest.mark.parametrize("program", DOCUMENTED, ids=["nginx", "haproxy"])
def test_the_documented_lines_bound_the_connections_of_one_address(program: str, tmp_path: Path) -> None:
    with behind(program, limited(program), tmp_path, **SETTINGS) as (client, _), ExitStack() as crowd:
        half = f"POST /anomaly/score HTTP/1.1\r\nHost: {client.headers['Host']}\r\nContent-Length: 9\r\n\r\n".encode()
        address = ("127.0.0.1", client.base_url.port or 0)
        ready = "/anomaly/readyz"
        client.get(ready, headers={"Connection": "close"})
        for _ in range(4):  # the proxy may still count the request above, and refuse the second of these
            with suppress(OSError):
                crowd.enter_context(socket.create_connection(address)).sendall(half)
        eventually(lambda: _is_refused(client, ready))
        crowd.close()
        eventually(lambda: not _is_refused(client, ready))


def test_where_nginx_counts_requests_the_documented_limit_holds_a_page_of_pictures() -> None:
    """With HTTP/2 it counts each request that waits, and a page of the history asks for all of its pictures at once."""
    root = Path(__file__).parents[2]
    (page,) = re.findall(r"^const PAGE = (\d+);", (root / "service/static/history.js").read_text("utf-8"), re.M)
    told = (root / "docs/proxies.md").read_text("utf-8")
    (limit,) = re.findall(r"`limit_conn clients (\d+)`", told)
    assert f"up to {page} pictures of the history at once" in " ".join(told.split())
    assert int(limit) >= 2 * int(page)


def _is_refused(client: httpx.Client, path: str) -> bool:
    """By nginx with a status, by HAProxy without a word."""
    try:
        return client.get(path, headers={"Connection": "close"}).status_code == 503
    except httpx.TransportError:
        return True


def test_servers_behind_nginx_are_restarted_one_after_the_other_and_one_always_answers(tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    servers = block("nginx", begins="upstream")
    for documented, port in (("10.0.0.11:8000", first), ("10.0.0.12:8000", second)):
        assert documented in servers
        servers = servers.replace(documented, f"127.0.0.1:{port}")
    conf = servers + block("nginx", begins="server").replace("http://127.0.0.1:8000", "http://anomaly")
    with proxied(NGINX, conf, 0, tmp_path / "proxy") as port:
        for running in (first, second, first):  # the other one is down
            with HTTPServer(("127.0.0.1", running), SimpleHTTPRequestHandler) as server:
                thread = threading.Thread(target=server.serve_forever, args=(0.01,))
                thread.start()
                url = f"http://127.0.0.1:{port}/anomaly/no-such-file"
                answers = {httpx.get(url, trust_env=False).status_code for _ in range(6)}
                server.shutdown()
                thread.join()
            assert answers == {404}
