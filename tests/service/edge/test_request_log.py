import io
import json
import logging
import re
from pathlib import Path
from typing import Any, Literal

import pytest

from service.edge.request_log import choose_id, logging_to, request_id
from service.settings import Settings
from tests.service.edge.test_protocol import connected, rest
from tests.service.fakes import POISON, Instance, open_instance, png
from tests.service.test_load import eventually

logger = logging.getLogger("some.part")


@pytest.mark.parametrize("offered", ["a", "5f0c-1.B_2", "x" * 64])
def test_a_sane_id_is_kept(offered: str) -> None:
    assert choose_id(offered) == offered


@pytest.mark.parametrize("offered", [None, "", "x" * 65, "a b", "a\nb", "a\n", 'a"b', "é", "{}", "../a", "\x00"])
def test_any_other_is_replaced_by_a_new_one(offered: str | None) -> None:
    made = {choose_id(offered) for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch("[0-9a-f]{16}", one) for one in made)


def written(settings: Settings) -> str:
    """What is logged when something is said, something fails, and something is too small to be said."""
    stream = io.StringIO()
    with logging_to(stream, settings):
        token = request_id.set("the-id")
        logger.info("said %d\nof two lines", 7, extra={"fields": {"seconds": 0.25}})
        request_id.reset(token)
        logger.debug("small")
        try:
            raise ValueError("why")
        except ValueError:
            logger.exception("failed")
    logger.error("afterwards")
    return stream.getvalue()


def test_json_is_an_object_a_line() -> None:
    said, failed = [json.loads(line) for line in written(Settings(log_format="json")).splitlines()]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", said["time"])
    assert (said["level"], said["logger"], said["request_id"]) == ("info", "some.part", "the-id")
    assert (said["message"], said["seconds"]) == ("said 7\nof two lines", 0.25)
    assert (failed["level"], failed["request_id"], failed["message"]) == ("error", None, "failed")
    assert failed["exception"].endswith("ValueError: why")


def test_no_part_ends_a_line_of_json_or_commands_a_terminal(tmp_path: Path) -> None:
    """`part` has no control characters of ASCII; there are others."""
    part = "\x9b31m\x85A\u2028B\u2029ü\u9999"

    def ask(instance: Instance) -> None:
        assert instance.score(png(1), part=part).json()["part"] == part

    (line,) = [line for line in asked(tmp_path, ask, log_format="json") if line.get("route") == "/score"]
    assert line["parts"] == [part]


def test_text_is_for_people() -> None:
    lines = written(Settings()).splitlines()
    assert lines[0].endswith("info    the-id said 7")
    assert lines[2].endswith("error   - failed")
    assert lines[-1] == "ValueError: why"


@pytest.mark.parametrize(("level", "words"), [("debug", ["said", "small", "failed"]), ("warning", ["failed"])])
def test_the_level_is_a_setting(level: Literal["debug", "warning"], words: list[str]) -> None:
    lines = written(Settings(log_level=level, log_format="json")).splitlines()
    assert [json.loads(line)["message"].split()[0] for line in lines] == words


def test_the_root_logger_is_left_as_it_was() -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    written(Settings(log_level="debug"))
    assert (root.level, root.handlers) == before


def asked(folder: Path, ask: Any, **settings: Any) -> list[dict[str, Any]]:
    """The lines that a server writes while `ask` uses it."""
    stream = io.StringIO()
    options = {"log_level": "warning", "log_config": None}  # as `serve` has it
    with (
        logging_to(stream, Settings(log_format="json")),
        open_instance(folder, options=options, **settings) as instance,
    ):
        ask(instance)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [line for line in lines if not line["logger"].startswith(("httpx", "httpcore", "asyncio"))]


def test_a_request_is_one_line_with_its_id_route_and_status(tmp_path: Path) -> None:
    def ask(instance: Instance) -> None:
        answer = instance.client.get("/models/secret?x=secret", headers={"X-Request-ID": "mine-1"})
        assert answer.headers["X-Request-ID"] == "mine-1"
        assert instance.client.get("/healthz", headers={"Host": "evil.example"}).headers["X-Request-ID"]

    lines = [line for line in asked(tmp_path, ask) if line["logger"] == "service.edge.request_log"]
    assert [(line["route"], line["status"], line["caller"]) for line in lines] == [
        ("/models/{name}", 404, "anyone"),
        ("none", 400, None),
    ]
    assert (lines[0]["request_id"], lines[0]["method"], lines[0]["client"]) == ("mine-1", "GET", "127.0.0.1")
    assert "secret" not in str(lines)


def test_a_line_says_by_the_answers_code_why_a_request_was_refused_and_quotes_nothing_of_it(tmp_path: Path) -> None:
    wanted: list[tuple[int, str | None]] = []

    def ask(instance: Instance) -> None:
        image = {"Content-Type": "image/png"}
        for url, content in (
            ("/score", png(1)),
            ("/score", b"no image"),
            ("/score?alpha=secret", png(1)),
            ("/score?model=secret", png(1)),
            ("/score", png(POISON)),
            ("/history/1/correction", b""),
            ("/secret", b""),
        ):
            answer = instance.client.post(url, content=content, headers=image)
            code = None if answer.status_code == 200 else answer.json()["error"]["code"]
            wanted.append((answer.status_code, code))
        answer = instance.client.get("/v2/models/secret")
        wanted.append((answer.status_code, "model_not_found"))  # the protocol's answers have no code

    lines = [line for line in asked(tmp_path, ask) if line["logger"] == "service.edge.request_log"]
    assert [(line["status"], line["code"]) for line in lines] == wanted
    assert len({code for _, code in wanted}) > 5
    for line, (status, code) in zip(lines, wanted, strict=True):
        assert f" {status} {code} in " in line["message"] if code else f" {status} in " in line["message"]
    assert "secret" not in str(lines)


def test_every_line_of_a_request_has_its_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure of one image of a batch, and one of a whole request, which the server itself logs."""
    monkeypatch.setattr(logging.getLogger("uvicorn"), "propagate", True)  # other tests' servers have logs of their own

    def ask(instance: Instance) -> None:
        files = [("files", (str(tag), png(tag))) for tag in (1, POISON)]
        instance.client.post("/score/batch", files=files, headers={"X-Request-ID": "of-the-batch"})
        instance.client.post("/admin/load?model=m", headers={"X-Request-ID": "of-the-load"})
        image = {"Content-Type": "image/png", "X-Request-ID": "of-the-one"}
        instance.client.post("/score", content=png(POISON), headers=image)

    loggers: dict[str | None, list[str]] = {}
    for line in asked(tmp_path, ask):
        loggers.setdefault(line["request_id"], []).append(line["logger"])
    assert loggers == {
        None: ["service.models.loading"],
        "of-the-batch": ["service.scoring", "service.edge.request_log"],
        "of-the-load": ["service.models.loading", "service.edge.request_log"],
        "of-the-one": ["service.edge.request_log", "uvicorn.error"],
    }


@pytest.mark.parametrize(
    ("said", "answer", "route"),
    [
        (
            b"POST /score HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 9\r\n\r\nabc",
            408,
            "/score",
        ),
        (
            b"POST /score HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\nno size",
            400,
            "/score",
        ),
        (
            b"PUT /history/1/correction HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 9\r\n\r\n{",
            408,
            "/history/{number}/correction",
        ),
    ],
    ids=["image", "no HTTP", "correction"],
)
def test_an_answer_that_the_app_did_not_give_is_noted_once_as_it_was_given(
    tmp_path: Path, said: bytes, answer: int, route: str
) -> None:
    def counts(instance: Instance) -> dict[str, float]:
        """By code: what was counted of the route."""
        series = re.compile(rf'anomaly_requests_total\{{code="(\d+)",route="{re.escape(route)}"\}} (\S+)')
        return {code: float(num) for code, num in series.findall(instance.client.get("/metrics").text) if float(num)}

    def ask(instance: Instance) -> None:
        with connected(instance) as connection:
            connection.sendall(said)
            assert rest(connection).startswith(b"HTTP/1.1 %d " % answer)
        eventually(lambda: bool(counts(instance)))
        assert counts(instance) == {str(answer): 1}

    lines = asked(tmp_path, ask, receive_timeout_s=0.4, history=tmp_path / "history.sqlite")
    noted = [(line["status"], line["code"]) for line in lines if line.get("route") == route]
    assert noted == [(answer, {408: "receive_timeout", 400: "malformed_request"}[answer])]
