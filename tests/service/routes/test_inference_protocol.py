"""The Open Inference Protocol over real connections, with a detector whose score is a number written in the image."""

import re
import socket
import threading
from base64 import b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from service.edge.keys import add_key
from service.routes import inference_answers
from tests.service.edge.test_load_shedding import full_instance
from tests.service.fakes import POISON, SIDE, Instance, open_instance, pages, picture, png, tagged

MODEL = "/v2/models/m"
LOG = "service.edge.request_log"


def infer(
    instance: Instance, *images: bytes, path: str = MODEL, outputs: list[str] | None = None, **parameters: Any
) -> httpx.Response:
    request: dict[str, Any] = {
        "inputs": [
            {
                "name": "image",
                "datatype": "BYTES",
                "shape": [len(images)],
                "data": [b64encode(each).decode() for each in images],
            }
        ]
    }
    if outputs is not None:
        request["outputs"] = [{"name": name} for name in outputs]
    return instance.client.post(f"{path}/infer", json=request | {"parameters": parameters})


def outputs_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return {each["name"]: each["data"] for each in answer.json()["outputs"]}


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Of the protocol's shape: one sentence."""
    assert list(answer.json()) == ["error"]
    return answer.status_code, str(answer.json()["error"])


def test_of_how_many_images_not_all_of_the_file_was_used_is_told(instance: Instance) -> None:
    parameters = infer(instance, pages(7, 8), png(9), pages(5, 6)).json()["parameters"]
    told = "2 of the images, such as image[0]: there are several pages or frames, of which only the first was read"
    assert parameters == {"digest": "digest of m/1", "alpha": 0.05, "remarks": told}


def test_images_are_scored_in_order_with_all_that_a_score_has(instance: Instance) -> None:
    answer = infer(instance, png(7), png(95))
    assert {name: answer.json()[name] for name in ("model_name", "model_version", "parameters")} == {
        "model_name": "m",
        "model_version": "1",
        "parameters": {"digest": "digest of m/1", "alpha": 0.05},
    }
    assert outputs_of(answer) == {
        "score": [7.0, 95.0],
        "p_value": [0.93, 0.05],
        "is_anomalous": [0, 1],
        "threshold": [94.0, 94.0],
        "residual": [3.5, 47.5],
    }
    by_score = instance.score(png(95)).json()
    assert (by_score["score"], by_score["p_value"], by_score["threshold"]) == (95.0, 0.05, 94.0)


def test_pixels_are_scored_as_the_file_that_holds_them(instance: Instance) -> None:
    pixels = np.stack([tagged(7)[0], tagged(2**20)[0]])
    listed = {"name": "image", "datatype": "UINT8", "shape": [2, SIDE, SIDE, 1], "data": pixels[..., None].tolist()}
    answer = instance.client.post(f"{MODEL}/infer", json={"inputs": [listed]})
    assert outputs_of(answer)["score"] == [7.0, 2.0**20]


def test_alpha_is_a_parameter_and_too_small_a_one_has_no_verdict(instance: Instance) -> None:
    assert outputs_of(infer(instance, png(92), alpha=0.1))["is_anomalous"] == [1]
    answer = infer(instance, png(92), alpha=0.001)
    found = outputs_of(answer)
    assert (found["threshold"], found["is_anomalous"], found["score"]) == ([None], [-1], [92.0])
    assert "999" in answer.json()["parameters"]["message"]


def test_only_the_outputs_that_are_asked_for_in_their_order(instance: Instance) -> None:
    assert list(outputs_of(infer(instance, png(7), outputs=["threshold", "score"]))) == ["threshold", "score"]
    status, message = refusal(infer(instance, png(7), outputs=["label"]))
    assert (status, "residual" in message) == (400, True)
    assert refusal(infer(instance, png(7), outputs=["score", "score"]))[0] == 400


def test_heatmaps_have_the_images_size_and_come_when_asked_for(instance: Instance) -> None:
    answer = infer(instance, picture(5, 3), picture(5, 3), outputs=["heatmap"])
    (heatmap,) = answer.json()["outputs"]
    assert (heatmap["shape"], heatmap["datatype"], set(heatmap["data"])) == ([2, 3, 5], "FP32", {0.5})
    status, message = refusal(infer(instance, picture(5, 3), picture(3, 5), outputs=["heatmap"]))
    assert (status, "several sizes" in message) == (400, True)


def test_heatmaps_are_made_by_the_threads_that_decode_so_that_these_bound_memory(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []

    def restored(heatmap: Any, *args: Any) -> Any:
        names.append(threading.current_thread().name)
        return heatmap

    monkeypatch.setattr(inference_answers, "restore_map", restored)
    assert infer(instance, png(1), outputs=["heatmap"]).status_code == 200
    assert [name.split()[0] for name in names] == ["decoder"]


@pytest.mark.parametrize("outputs", [["heatmap"], ["heatmap", "error"]])
def test_nothing_is_kept_or_counted_where_heatmaps_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outputs: list[str]
) -> None:
    turned = BytesIO()
    exif = Image.Exif()
    exif[274] = 6  # a quarter turn
    Image.new("L", (5, 3)).save(turned, "JPEG", exif=exif)
    monkeypatch.setattr(inference_answers, "MAX_JSON_VALUES", 100)
    with open_instance(tmp_path / "models", history=tmp_path / "history.sqlite") as instance:
        counted = num_counted(instance)
        assert refusal(infer(instance, picture(5, 3), picture(3, 5), outputs=outputs))[0] == 400
        assert refusal(infer(instance, picture(5, 3), turned.getvalue(), outputs=outputs))[0] == 400
        assert refusal(infer(instance, picture(11, 10), outputs=outputs))[0] == 413
        assert instance.detector.batches == []  # the networks have not run in vain
        assert instance.client.get("/history").json()["items"] == []
        assert num_counted(instance) == counted
        assert infer(instance, picture(10, 10), outputs=outputs).status_code == 200
        assert len(instance.client.get("/history").json()["items"]) == 1
        assert num_counted(instance) == counted + 1


def num_counted(instance: Instance) -> float:
    lines = instance.client.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("anomaly_images_total{"))


@pytest.mark.parametrize(
    ("sides", "is_binary", "advice"),
    [
        ([10], False, None),
        ([11], False, "Ask for the heatmaps as binary data (binary_data)."),
        ([11, 11], False, "Ask for the heatmaps as binary data (binary_data), and send fewer images in a request."),
        ([8, 8], False, "Send fewer images in a request, or ask for the heatmaps as binary data (binary_data)."),
        ([8, 8, 8, 8], False, "Send fewer images in a request."),
        ([15], False, "Send a smaller picture."),
        ([14], True, None),
        ([11, 11], True, "Send fewer images in a request."),
        ([15], True, "Send a smaller picture."),
    ],
)
def test_too_large_heatmaps_are_refused_with_what_helps(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, sides: list[int], is_binary: bool, advice: str | None
) -> None:
    monkeypatch.setattr(inference_answers, "MAX_JSON_VALUES", 100)
    monkeypatch.setattr(inference_answers, "MAX_MAP_VALUES", 200)
    images = [picture(side, side) for side in sides]
    answer = infer(instance, *images, outputs=["heatmap"], binary_data_output=is_binary)
    if advice is None:
        assert answer.status_code == 200
    else:
        status, message = refusal(answer)
        assert (status, message.endswith(f" in JSON. {advice}")) == (413, True)


def test_an_image_that_fails_fails_its_request_and_is_named(instance: Instance) -> None:
    status, message = refusal(infer(instance, png(1), picture(8, 8)[:40], png(3)))
    assert (status, "image[1]" in message) == (422, True)
    assert refusal(infer(instance, b"text"))[0] == 415
    assert refusal(infer(instance, picture(101, 100)))[0] == 413
    instance.detector.batches.clear()
    assert refusal(infer(instance, png(1), png(2), png(3), b"text"))[0] == 415
    assert instance.detector.batches == []  # the networks have not run in vain
    assert refusal(infer(instance, png(POISON))) == (500, "The server failed; its log says why.")


def test_whoever_asks_for_errors_gets_the_scores_of_the_others(instance: Instance) -> None:
    found = outputs_of(infer(instance, png(1), b"text", png(3), outputs=["score", "is_anomalous", "error", "heatmap"]))
    assert (found["score"], found["is_anomalous"]) == ([1.0, None, 3.0], [0, -1, 0])
    assert [bool(each) for each in found["error"]] == [False, True, False]
    assert found["heatmap"].count(None) == SIDE**2


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/models/other", 404),
        ("GET", "/v2/models/m/versions/2", 404),
        ("GET", "/v2/models/m/versions/v1/ready", 404),
        ("POST", "/v2/models/other/infer", 404),
        ("GET", "/v2/models/m/infer", 405),
        ("PUT", "/v2", 405),
        ("GET", "/v2/nothing", 404),
        ("POST", "/v2/models/m/infer", 400),
    ],
)
def test_every_refusal_has_the_protocols_shape(instance: Instance, method: str, path: str, status: int) -> None:
    assert refusal(instance.client.request(method, path))[0] == status


@pytest.mark.parametrize("name", ["alpha", "part", "binary_data_output"])
def test_a_parameter_that_stands_beside_the_parameters_is_refused(instance: Instance, name: str) -> None:
    """It would be passed over, and the verdict be of another false-alarm rate."""
    image = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [b64encode(png(95)).decode()]}
    request = {"inputs": [image], name: 0.5}
    status, message = refusal(instance.client.post(f"{MODEL}/infer", json=request))
    assert (status, message.startswith(f"{name!r} of the request must stand in its parameters: ")) == (400, True)
    status, message = refusal(instance.client.post(f"{MODEL}/infer?{name}=0.5", json={"inputs": [image]}))
    assert (status, message.startswith(f"The query has {name!r}, and this call has no parameters")) == (400, True)
    assert (
        infer(instance, png(95)).json()
        == instance.client.post(
            f"{MODEL}/versions/1/infer", json={"inputs": [image], "model_name": "m", "parameters": {}}
        ).json()
    )  # what clients send beyond the protocol


def test_what_is_missing_is_named_without_what_stands_beside_it(instance: Instance) -> None:
    def said(path: str) -> str:
        return str(instance.client.post(path, json={}).json()["error"])

    assert said(f"{MODEL}/infer") == "inputs: it is missing"
    assert "'message': 'query.version: it is missing'" in said("/admin/unload?model=m")


def test_the_document_has_the_headers_of_infer(instance: Instance) -> None:
    paths = instance.client.get("/openapi.json").json()["paths"]
    for path in ("/v2/models/{name}/infer", "/v2/models/{name}/versions/{version}/infer"):
        headers = {each["name"] for each in paths[path]["post"]["parameters"] if each["in"] == "header"}
        assert headers == {"X-Part-ID", "Inference-Header-Content-Length"}


def test_refusals_from_before_the_routes_have_it_too(instance: Instance) -> None:
    url = f"{MODEL}/infer"
    assert refusal(instance.client.post(url, headers={"Host": "evil.example"}))[0] == 400
    assert refusal(instance.client.post(url, headers={"Origin": "http://evil.example"}))[0] == 403
    assert refusal(instance.client.post(url, content=bytes(20_001)))[0] == 413
    assert refusal(instance.client.post(url, content=b"x", headers={"Content-Encoding": "gzip"}))[0] == 415
    with socket.create_connection((instance.client.base_url.host, instance.client.base_url.port or 0)) as connection:
        connection.sendall(f"GET {url} HTTP/1.1\r\nHost: 127.0.0.1\r\nX: {'x' * 70_000}".encode())
        assert re.search(rb'\r\n\r\n\{"error": "[^"]+"\}$', connection.recv(4096))


def test_too_many_images_are_refused(instance: Instance) -> None:
    assert refusal(infer(instance, *[png(1)] * 5))[0] == 413
    assert outputs_of(infer(instance, *[png(1)] * 4))["score"] == [1.0] * 4


def test_a_full_server_refuses_by_the_head_in_the_protocols_shape_and_counts_it(tmp_path: Path) -> None:
    with full_instance(tmp_path) as instance:
        for path in (MODEL, f"{MODEL}/versions/1"):
            answer = instance.client.post(f"{path}/infer", content=b"no request")
            assert refusal(answer)[0] == 503
            assert int(answer.headers["Retry-After"]) > 0
        series = instance.client.get("/metrics").text
    assert 'anomaly_requests_total{code="503",route="/v2/models/{name}/infer"} 1.0' in series
    assert 'anomaly_requests_total{code="503",route="/v2/models/{name}/versions/{version}/infer"} 1.0' in series


def test_keys_and_their_rates_hold_here_too(tmp_path: Path) -> None:
    key = add_key(tmp_path / "keys.txt", "line", ["score"])
    with open_instance(tmp_path / "models", keys=tmp_path / "keys.txt", rate_limit=0.001, rate_burst=1) as instance:
        answer = infer(instance, png(1))
        assert (refusal(answer)[0], answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        instance.client.headers["Authorization"] = f"Bearer {key}"
        assert infer(instance, png(1)).status_code == 200
        answer = infer(instance, png(1))
        assert (refusal(answer)[0], int(answer.headers["Retry-After"]) > 0) == (429, True)


def test_history_drift_and_metrics_have_the_images_but_none_of_a_request_that_fails(tmp_path: Path) -> None:
    with open_instance(tmp_path / "models", history=tmp_path / "history.sqlite") as instance:
        assert infer(instance, png(5), b"text").status_code == 415
        answer = infer(instance, png(7), png(95))
        assert answer.status_code == 200
        rows = instance.client.get("/history").json()["items"]
        assert [(row["score"], row["filename"], row["part"]) for row in rows] == [(95.0, None, None), (7.0, None, None)]
        assert {row["request_id"] for row in rows} == {answer.headers["X-Request-ID"]}
        assert instance.client.get("/models/m/drift").json()["num_scores"] == 2
        series = instance.client.get("/metrics").text
    assert 'anomaly_images_total{model="m",verdict="anomalous",version="1"} 1.0' in series
    assert 'anomaly_requests_total{code="200",route="/v2/models/{name}/infer"} 1.0' in series


def test_parts_and_names_are_kept_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def labelled(name: str, *data: str) -> dict[str, Any]:
        return {"name": name, "datatype": "BYTES", "shape": [len(data)], "data": list(data)}

    image = labelled("image", *(b64encode(png(tag)).decode() for tag in (7, 95)))
    each = {"inputs": [image, labelled("part", "A-1", ""), labelled("filename", "", "b.png")]}
    with open_instance(tmp_path / "models", history=tmp_path / "history.sqlite") as instance:

        def post(request: dict[str, Any], **headers: str) -> httpx.Response:
            return instance.client.post(f"{MODEL}/infer", json=request, headers=headers)

        with caplog.at_level("INFO", LOG):
            assert post(each).status_code == 200
        assert infer(instance, png(1), part="B 2").status_code == 200
        assert post({"inputs": [image]}, **{"X-Part-ID": "C"}).status_code == 200
        assert (
            "give it once" in refusal(post({"inputs": [image], "parameters": {"part": "D"}}, **{"X-Part-ID": "C"}))[1]
        )
        assert "one part for all" in refusal(post(each, **{"X-Part-ID": "C"}))[1]
        rows = instance.client.get("/history").json()["items"]
    kept = [(row["part"], row["filename"]) for row in reversed(rows)]
    assert kept == [("A-1", None), (None, "b.png"), ("B 2", None), ("C", None), ("C", None)]
    (line,) = (record.getMessage() for record in caplog.records if record.name == LOG)
    assert line.endswith(" parts=['A-1', None] filenames=[None, 'b.png']")


def test_health_and_metadata(instance: Instance) -> None:
    get = instance.client.get
    assert get("/v2/health/live").json() == {"live": True}
    assert get("/v2/health/ready").json() == {"live": True, "ready": True}
    assert get("/v2").json() == get("/v2/").json()
    assert get("/v2").json()["extensions"] == ["binary_tensor_data", "model_repository"]
    assert get(f"{MODEL}/ready").json() == get(f"{MODEL}/versions/1/ready").json() == {"name": "m", "ready": True}
    metadata = get(MODEL).json()
    assert metadata == get(f"{MODEL}/versions/1").json()
    assert (metadata["name"], metadata["versions"], metadata["platform"]) == ("m", ["1"], "anomaly_bundle")
    assert metadata["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    answered = {each["name"]: each["datatype"] for each in infer(instance, png(1)).json()["outputs"]}
    described = {each["name"]: each["datatype"] for each in metadata["outputs"]}
    assert described == answered | {"heatmap": "FP32", "error": "BYTES"}


def test_a_server_that_stops_is_not_ready_but_alive(tmp_path: Path) -> None:
    with open_instance(tmp_path) as instance:
        instance.app.state.stop()
        assert instance.client.get("/v2/health/live").status_code == 200
        assert refusal(instance.client.get("/v2/health/ready"))[0] == 503
        assert refusal(infer(instance, png(1)))[0] == 503
