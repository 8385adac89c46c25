"""Which part was it, and how was its file called: in the answer, the history, its search and the log."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.edge.request_log import logging_to
from service.settings import Settings
from tests.service.fakes import Instance, open_instance, png
from tests.service.routes.test_history import listed
from tests.service.routes.test_score import code

PNG = {"Content-Type": "image/png"}


@pytest.fixture
def keeping(tmp_path: Path) -> Iterator[Instance]:
    with open_instance(tmp_path / "models", history=tmp_path / "history.sqlite") as instance:
        yield instance


def form(instance: Instance, *fields: tuple[str, str], path: str = "/score", num: int = 1, **options: Any) -> Any:
    """A form with these texts and so many images, whose files are `0.png`, `1.png`, …"""
    texts = [(name, (None, value.encode())) for name, value in fields]
    files = [("files", (f"{i}.png", png(i))) for i in range(num)]
    return instance.client.post(path, files=[*texts, *files], **options)


def raw(instance: Instance, query: dict[str, str] | None = None, **headers: str | bytes) -> Any:
    sent = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
    coded = [(name, value if isinstance(value, bytes) else value.encode()) for name, value in sent]
    head = [(b"Content-Type", b"image/png"), *coded]
    return instance.client.post("/score", params=query, content=png(1), headers=head)


def test_a_part_comes_in_the_query_the_form_or_a_header(keeping: Instance) -> None:
    answers = [
        raw(keeping, {"part": "A-17"}),
        raw(keeping, X_Part_ID="A-17"),
        raw(keeping, {"part": "A-17"}, X_Part_ID="A-17"),
        form(keeping, ("part", "A-17")),
        form(keeping, ("part", "A-17\r\n")),  # as a scanner ends it
        form(keeping, params={"part": "A-17"}),
    ]
    assert [answer.json()["part"] for answer in answers] == ["A-17"] * 6
    assert [row["part"] for row in listed(keeping)] == ["A-17"] * 6
    assert raw(keeping, X_Part_ID="Gehäuse 7".encode()).json()["part"] == "Gehäuse 7"
    assert raw(keeping, X_Part_ID="Gehäuse 7".encode("latin-1")).json()["part"] == "Gehäuse 7"
    assert raw(keeping).json()["part"] is None
    assert raw(keeping, {"part": "A-17", "heatmap": "true"}).json()["part"] == "A-17"


def test_a_name_comes_from_the_parameter_the_form_or_the_head(keeping: Instance) -> None:
    named = {
        "a.png": raw(keeping, {"name": "a.png"}),
        "b.png": form(keeping, ("name", "b.png")),
        "0.png": form(keeping),
        "c d.png": raw(keeping, Content_Disposition='attachment; filename="c d.png"'),
        "Prüfling €.png": raw(
            keeping, Content_Disposition="attachment; filename=x.png; filename*=UTF-8''Pr%C3%BCfling%20%E2%82%AC.png"
        ),
        "over.png": raw(keeping, {"name": "over.png"}, Content_Disposition="inline; filename=x.png"),
        None: raw(keeping, Content_Disposition="inline"),
    }
    assert {answer.json()["filename"]: answer for answer in named.values()} == named
    assert [row["filename"] for row in listed(keeping)] == list(named)[::-1]


@pytest.mark.parametrize("letter", ["x", "検", "😀"])
def test_lengths_are_counted_in_characters_wherever_they_are_sent(instance: Instance, letter: str) -> None:
    name, part = 1024 * letter, 128 * letter
    image = {"file": (name, png(1))}
    answers = [
        raw(instance, {"name": name, "part": part}),
        form(instance, ("name", name), ("part", part)),
        form(instance, params={"name": name, "part": part}),
        instance.client.post("/score", files=image, headers={b"X-Part-ID": part.encode()}),
    ]
    assert [(answer.json()["filename"], answer.json()["part"]) for answer in answers] == [(name, part)] * 4
    for field, text in (("name", name), ("part", part)):
        answer = form(instance, (field, text + letter))
        assert code(answer)[0] == 400
        assert field in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("A\n17", "character 2 is the control character U+000A"),
        ("\x7fA", "U+007F"),
        ("x" * 129, "at most 128"),
        ("", "1"),
    ],
)
def test_parts_that_are_refused(keeping: Instance, part: str, words: str) -> None:
    for answer in (raw(keeping, {"part": part}), form(keeping, ("part", part)), form(keeping, params={"part": part})):
        assert code(answer) == (400, "invalid_parameter")
        assert words in answer.json()["error"]["message"]
    assert code(raw(keeping, X_Part_ID="x" * 129)) == (400, "invalid_parameter")
    assert listed(keeping) == []


def test_names_that_are_refused(keeping: Instance) -> None:
    long = "x" * 1025
    disposition = "attachment; filename*=utf-8''a%0Ab.png"
    batch = [("files", ("good.png", png(1))), ("files", (long, png(1)))]
    answers = {
        "U+0000": raw(keeping, {"name": "a\0.png"}),
        "U+000A": raw(keeping, Content_Disposition=disposition),
        "header Content-Disposition.filename": raw(keeping, Content_Disposition=f"inline; filename={long}"),
        "form.filename": keeping.client.post("/score/batch", files=batch),
        "query.name": keeping.client.post("/score/batch", params={"name": "a"}, files=batch[:1]),
    }
    for words, answer in answers.items():
        assert code(answer) == (400, "invalid_parameter")
        assert words in answer.json()["error"]["message"]
    assert listed(keeping) == []


def test_what_contradicts_itself_is_refused(keeping: Instance) -> None:
    for answer in (
        raw(keeping, {"part": "A"}, X_Part_ID="B"),
        form(keeping, ("part", "A"), headers={"X-Part-ID": "B"}),
        form(keeping, ("part", "A"), ("part", "B")),
        form(keeping, ("part", "A"), ("part", "B"), path="/score/batch", num=2, params={"part": "A"}),
    ):
        assert code(answer) == (400, "malformed_request")


def test_a_batch_has_one_part_for_all_or_one_for_each(keeping: Instance) -> None:
    def parts(*fields: str, num: int, **options: Any) -> list[str | None]:
        answer = form(keeping, *(("part", field) for field in fields), path="/score/batch", num=num, **options)
        return [result["part"] for result in answer.json()["results"]]

    assert parts("A", num=3) == ["A"] * 3
    assert parts(num=2, headers={"X-Part-ID": "A"}) == ["A"] * 2
    assert parts("A", "", "A", num=3) == ["A", None, "A"]
    assert parts("A", "B", num=2, params={"model": "m"}) == ["A", "B"]
    assert [row["part"] for row in listed(keeping)][:5] == ["B", "A", "A", None, "A"]
    many = form(keeping, *(("part", f"{i}") for i in range(40)), path="/score/batch", num=40)
    assert [result["part"] for result in many.json()["results"]] == [f"{i}" for i in range(40)]
    wrong = form(keeping, ("part", "A"), ("part", "B"), path="/score/batch", num=3)
    assert code(wrong) == (400, "malformed_request")
    assert "2 fields 'part' for 3 files" in wrong.json()["error"]["message"]
    assert code(form(keeping, ("part", "A"), ("part", "\0"), path="/score/batch", num=2)) == (400, "invalid_parameter")


def test_an_image_that_fails_says_which_it_was(keeping: Instance) -> None:
    files = [("part", (None, b"A")), ("part", (None, b"B")), ("files", ("a", b"text")), ("files", ("b", png(1)))]
    failed, scored = keeping.client.post("/score/batch", files=files).json()["results"]
    assert (failed["part"], failed["filename"], failed["error"]["code"]) == ("A", "a", "unsupported_format")
    assert (scored["part"], scored["filename"]) == ("B", "b")


def test_the_history_is_searched_by_part_name_and_request(keeping: Instance) -> None:
    for part, name, request in (
        ("Gehäuse-17", "Ä b.png", "r-1"),
        ("A[1]*?", "x.png", "r-2"),
        ("a%_1", "X.PNG", "r-12"),
    ):
        raw(keeping, {"part": part, "name": name}, X_Request_ID=request)
    raw(keeping, X_Request_ID="r-3")

    def found(**query: str) -> list[int]:
        return [row["id"] for row in listed(keeping, **query)]

    assert found(part="gehÄuse") == [1]
    assert found(part="A") == [3, 2]
    assert [found(part=special) for special in ("[", "]", "*", "?", "%", "_", "-", "[1]*", "^")] == [
        [2], [2], [2], [2], [3], [3], [1], [2], [],
    ]  # fmt: skip
    assert found(name="x.png") == [3, 2]
    assert found(name="ä B") == [1]
    assert found(request_id="r-1") == [1]
    assert found(request_id="R-1") == []
    assert found(part="a", name=".png", request_id="r-12") == [3]
    for refused in ({"part": ""}, {"name": "x" * 1025}, {"request_id": "x" * 65}):
        assert code(keeping.client.get("/history", params=refused)) == (400, "invalid_parameter")
    answer = keeping.client.get("/history.csv", params={"part": "gehäuse"}).text
    (row,) = csv.DictReader(io.StringIO(answer))
    assert (row["part"], row["filename"], json.loads(row["terms"])) == ("Gehäuse-17", "Ä b.png", {"residual": 0.5})


def test_text_that_a_spreadsheet_would_run_is_made_inert_in_parts_too(keeping: Instance) -> None:
    raw(keeping, {"part": "=1+1"})
    (row,) = csv.DictReader(io.StringIO(keeping.client.get("/history.csv").text))
    assert row["part"] == "'=1+1"


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_the_log_says_which_part_and_file_it_was(tmp_path: Path, log_format: Any) -> None:
    stream = io.StringIO()
    with logging_to(stream, Settings(log_format=log_format)), open_instance(tmp_path) as instance:
        raw(instance, {"part": "A 17", "name": "a\x85\u2028b.png"})
        form(instance, ("part", "B"), path="/score/batch", num=2)
        instance.client.post("/score", content=b"text", headers=PNG | {"X-Part-ID": "broken"})
        instance.client.get("/healthz")
    lines = [line for line in stream.getvalue().split("\n") if "/score" in line or "/healthz" in line]
    lines = [line for line in lines if "HTTP Request" not in line]
    if log_format == "json":
        found = [json.loads(line) for line in lines]
        assert [(line.get("parts"), line.get("filenames")) for line in found] == [
            (["A 17"], ["a\x85\u2028b.png"]),
            (["B", "B"], ["0.png", "1.png"]),
            (["broken"], [None]),
            (None, None),
        ]
    else:
        assert [line.partition(" ms")[2] for line in lines] == [
            r" parts=['A 17'] filenames=['a\x85\u2028b.png']",
            " parts=['B', 'B'] filenames=['0.png', '1.png']",
            " parts=['broken']",
            "",
        ]
