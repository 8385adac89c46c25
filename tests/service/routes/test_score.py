import base64
import socket
import threading
from io import BytesIO
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from service.routes import score
from tests.service.fakes import HOT, NOT_FINITE, POISON, Instance, pages, picture, png


def code(answer: httpx.Response) -> tuple[int, str]:
    error = answer.json()["error"]
    assert set(answer.json()) == {"error"}
    assert set(error) == {"code", "message"}
    return answer.status_code, error["code"]


def decoded(text: str) -> Image.Image:
    return Image.open(BytesIO(base64.b64decode(text)))


def test_a_form_and_a_raw_body_get_the_same_complete_answer(instance: Instance) -> None:
    form = instance.client.post("/score", files={"file": ("seven.png", png(7))}).json()
    raw = instance.score(png(7)).json()
    expected = {
        "model": "m", "version": 1, "digest": "digest of m/1", "part": None, "filename": "seven.png", "score": 7.0,
        "p_value": 0.93, "threshold": 94.0, "is_anomalous": False, "alpha": 0.05, "message": None, "warning": None,
        "remarks": [], "terms": {"residual": 3.5}, "history_id": None,
    }  # fmt: skip
    assert expected == form
    assert expected | {"filename": None} == raw


def test_what_of_a_file_was_not_used_is_told(instance: Instance) -> None:
    told = "there are several pages or frames, of which only the first was read"
    answer = instance.score(pages(7, 8)).json()
    assert (answer["score"], answer["remarks"]) == (7.0, [told])
    assert [each["remarks"] for each in instance.batch(pages(5, 6), png(5)).json()["results"]] == [[told], []]


@pytest.mark.parametrize(("tag", "is_anomalous"), [(94, False), (95, True)])
def test_the_verdict_is_score_above_threshold(instance: Instance, tag: int, is_anomalous: bool) -> None:
    assert is_anomalous == instance.score(png(tag)).json()["is_anomalous"]


def test_alpha_moves_the_threshold_and_nothing_else(instance: Instance) -> None:
    strict, lax = instance.score(png(92), alpha=0.01).json(), instance.score(png(92), alpha=0.1).json()
    assert (strict["threshold"], strict["is_anomalous"]) == (98.0, False)
    assert (lax["threshold"], lax["is_anomalous"]) == (89.0, True)
    assert (strict["score"], strict["p_value"]) == (lax["score"], lax["p_value"]) == (92.0, 0.08)


def test_too_few_calibration_images_for_alpha_give_no_verdict_and_say_how_many_are_needed(instance: Instance) -> None:
    answer = instance.score(png(500), alpha=0.001).json()
    assert (answer["threshold"], answer["is_anomalous"]) == (None, None)
    assert "999" in answer["message"]


def test_a_score_keeps_its_full_precision(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = 0.1 + 0.2 + 1e-13
    evidence = instance.detector.evidence

    def precise(pixels: Any) -> Any:
        found = evidence(pixels)
        found.score[:] = exact
        return found

    monkeypatch.setattr(instance.detector, "evidence", precise)
    assert exact == instance.score(png(1)).json()["score"]


@pytest.mark.parametrize(("width", "height"), [(8, 8), (31, 17), (5, 90)])
def test_heatmap_has_the_original_size_and_the_reconstruction_the_models(
    instance: Instance, width: int, height: int
) -> None:
    answer = instance.score(picture(width, height), heatmap=True).json()
    heatmap, reconstruction = decoded(answer["heatmap"]), decoded(answer["reconstruction"])
    assert (width, height) == heatmap.size
    assert heatmap.mode == "L"
    assert {128} == set(np.asarray(heatmap).ravel().tolist())
    assert reconstruction.size == (8, 8)


def test_heatmaps_are_drawn_by_the_threads_that_decode_so_that_these_bound_memory(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []

    def drawn(heatmap: Any) -> str:
        names.append(threading.current_thread().name)
        return ""

    monkeypatch.setattr(score, "draw_heatmap", drawn)
    assert instance.score(png(1), heatmap=True).status_code == 200
    assert [name.split()[0] for name in names] == ["decoder"]


def test_a_heatmap_that_cannot_be_drawn_is_answered_and_the_next_is_drawn(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(score, "draw_heatmap", lambda heatmap: 1 // 0)
        assert code(instance.score(png(1), heatmap=True)) == (500, "internal_error")
    for _ in range(3):  # each of the two threads lives
        assert instance.score(png(1), heatmap=True).status_code == 200


def test_pictures_come_only_when_asked_for(instance: Instance) -> None:
    assert not {"heatmap", "strongest", "standardised"} & set(instance.score(png(1)).json())


@pytest.mark.parametrize("tag", [1, 95])
def test_the_strongest_place_comes_with_the_heatmap_whatever_the_verdict(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, tag: int
) -> None:
    monkeypatch.setattr(instance.detector, "hottest", 0.75)
    answer = instance.score(png(tag), heatmap=True).json()
    assert answer["strongest"] == {"x": HOT[1], "y": HOT[0], "width": 1, "height": 1, "strength": 3.0}


def test_the_strongest_place_is_in_the_pixels_of_the_picture(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance.detector, "hottest", 9.0)
    place = instance.score(picture(80, 40), heatmap=True).json()["strongest"]
    row, column = 10 * HOT[0] - 20 + 5, 10 * HOT[1] + 5  # a pixel of the model is ten; 20 rows above were padding
    assert place["x"] <= column < place["x"] + place["width"] < column + 15
    assert place["y"] <= row < place["y"] + place["height"] < row + 15


def test_a_flat_heatmap_has_no_strongest_place(instance: Instance) -> None:
    assert instance.score(png(95), heatmap=True).json()["strongest"] is None


def test_terms_are_also_told_in_standard_deviations(instance: Instance) -> None:
    assert instance.score(png(20), heatmap=True).json()["standardised"] == {"residual": 2.0}  # (20 / 2 − 2) / 4


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP", "JPEG"])
def test_accepted_formats(instance: Instance, kind: str) -> None:
    answer = instance.client.post("/score", content=picture(8, 8, kind), headers={"Content-Type": "image/whatever"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", (422, "undecodable_image")),
        (b"just text", (415, "unsupported_format")),
        (b"PK\x03\x04 a zip archive", (415, "unsupported_format")),
        (picture(8, 8, "GIF"), (415, "unsupported_format")),
        (picture(8, 8)[:40], (422, "undecodable_image")),
        (picture(101, 100), (413, "image_too_large")),
        (bytes(20_001), (413, "upload_too_large")),
    ],
    ids=["empty", "text", "zip", "gif", "truncated", "pixels", "bytes"],
)
def test_bodies_that_are_refused(instance: Instance, data: bytes, expected: tuple[int, str]) -> None:
    assert expected == code(instance.score(data))
    assert expected == code(instance.client.post("/score", files={"file": ("x.png", data)}))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"alpha": 0}, (400, "invalid_parameter")),
        ({"alpha": 1}, (400, "invalid_parameter")),
        ({"alpha": "nan"}, (400, "invalid_parameter")),
        ({"alpha": "strict"}, (400, "invalid_parameter")),
        ({"aplha": 0.1}, (400, "invalid_parameter")),
        ({"heatmap": "perhaps"}, (400, "invalid_parameter")),
        ({"version": 0}, (400, "invalid_parameter")),
        ({"version": 2}, (404, "model_not_found")),
        ({"model": "other"}, (404, "model_not_found")),
        ({"model": "../m"}, (404, "model_not_found")),
        ({"model": "m/1"}, (404, "model_not_found")),
    ],
)
def test_parameters_that_are_refused(instance: Instance, query: dict[str, Any], expected: tuple[int, str]) -> None:
    assert expected == code(instance.score(png(1), **query))


def test_a_refused_parameter_is_named_with_what_was_got(instance: Instance) -> None:
    for given in ("5", "5%", "0,05"):
        message = instance.score(png(1), alpha=given).json()["error"]["message"]
        assert message == f"query.alpha {given!r}: it is a number, a share between 0 and 1; give 0.05 for 5 %"
    message = instance.score(png(1), alpha="strict").json()["error"]["message"]
    assert "alpha" in message
    assert "strict" in message


def test_bodies_that_are_no_image_form(instance: Instance) -> None:
    def post(**body: Any) -> tuple[int, str]:
        return code(instance.client.post("/score", **body))

    assert post(json={"file": 1}) == (415, "unsupported_content_type")
    assert post() == (415, "unsupported_content_type")
    assert post(files={"mask": png(1)}) == (400, "malformed_request")
    assert post(files={"file": (None, "zero.png")}) == (400, "malformed_request")
    assert post(files=[("file", png(1)), ("file", png(2))]) == (413, "upload_too_large")
    no_boundary = {"Content-Type": "multipart/form-data"}
    assert post(content=b"x", headers=no_boundary) == (400, "malformed_request")


def test_a_forgotten_at_sign_is_explained(instance: Instance) -> None:
    message = instance.client.post("/score", files={"file": (None, "zero.png")}).json()["error"]["message"]
    assert "-F file=@picture.png" in message


def test_a_body_without_length_is_cut_off_at_the_limit(instance: Instance) -> None:
    def chunks() -> Any:
        for _ in range(3):
            yield bytes(10_000)

    answer = instance.client.post("/score", content=chunks(), headers={"Content-Type": "image/png"})
    assert code(answer) == (413, "upload_too_large")


@pytest.mark.parametrize("content_type", ["image/png", "multipart/form-data; boundary=x"])
def test_a_body_that_is_announced_too_large_is_refused_before_it_is_sent(instance: Instance, content_type: str) -> None:
    url = instance.client.base_url
    head = f"POST /score HTTP/1.1\r\nHost: {url.host}\r\nContent-Type: {content_type}\r\nContent-Length: 20001\r\n\r\n"
    with socket.create_connection((url.host, url.port or 0), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_failing_detector_is_a_500_without_details(instance: Instance) -> None:
    answer = instance.score(png(POISON))
    assert code(answer) == (500, "internal_error")
    assert "device" not in answer.text
    assert instance.score(png(1)).status_code == 200


def test_a_batch_answers_in_order_and_a_broken_image_keeps_its_place(instance: Instance) -> None:
    answer = instance.batch(png(30), b"text", png(10), picture(8, 8)[:40])
    body = answer.json()
    assert (body["model"], body["version"], body["digest"]) == ("m", 1, "digest of m/1")
    results = body["results"]
    assert [result["filename"] for result in results] == ["0.png", "1.png", "2.png", "3.png"]
    assert [result.get("score") for result in results] == [30.0, None, 10.0, None]
    assert {"error", "filename", "part"} == set(results[1])
    assert [results[i]["error"]["code"] for i in (1, 3)] == ["unsupported_format", "undecodable_image"]


@pytest.mark.parametrize("tag", [POISON, NOT_FINITE])
def test_an_image_that_the_detector_fails_on_does_not_harm_its_neighbours(instance: Instance, tag: int) -> None:
    results = instance.batch(png(1), png(tag), png(3)).json()["results"]
    assert [result.get("score") for result in results] == [1.0, None, 3.0]
    assert results[1]["error"]["code"] == "internal_error"


def test_a_batch_of_too_many_files_is_refused_with_the_limit(instance: Instance) -> None:
    answer = instance.batch(*[png(i) for i in range(5)])
    assert code(answer) == (413, "upload_too_large")
    assert "4" in answer.json()["error"]["message"]
    assert instance.batch(*[png(i) for i in range(4)]).status_code == 200


def test_a_batch_needs_files(instance: Instance) -> None:
    assert code(instance.client.post("/score/batch", files={"mask": png(1)})) == (400, "malformed_request")
    raw = instance.client.post("/score/batch", content=png(1), headers={"Content-Type": "image/png"})
    assert code(raw) == (415, "unsupported_content_type")


def test_every_call_is_documented(instance: Instance) -> None:
    paths = instance.client.get("/openapi.json").json()["paths"]
    administration = {"/admin/load", "/admin/unload", "/admin/rescan"}
    watching = {"/healthz", "/readyz", "/metrics"}
    history = {"/history", "/history.csv", "/history/{number}/thumbnail", "/history/{number}/correction"}
    models = {"/models", "/models/{name}", "/models/{name}/drift"}
    protocol = {path for path in paths if path.startswith("/v2")}
    assert len(protocol) == 12
    assert {"/score", "/score/batch"} | models | administration | watching | history == set(paths) - protocol
    body = paths["/score"]["post"]["requestBody"]["content"]
    assert {"multipart/form-data", "image/*", "application/octet-stream"} == set(body)
    fields = {"file", "model", "version", "alpha", "part", "name", "heatmap"}
    assert fields == set(body["multipart/form-data"]["schema"]["properties"])
    assert fields - {"file"} | {"X-Part-ID"} == {each["name"] for each in paths["/score"]["post"]["parameters"]}
