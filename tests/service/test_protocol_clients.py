"""The Open Inference Protocol with its users' own client, unchanged, and by its own examples, on a served process."""

import csv
import json
import re
import socket
from base64 import b64decode, b64encode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from numpy.typing import NDArray
from PIL import Image
from tritonclient.utils import InferenceServerException
from typer.testing import CliRunner

from anomaly.cli import app
from tests.service.processes import Process, running

ROOT = Path(__file__).parents[2]
NUM_IMAGES = 5
SIZE = (28, 20)
MODEL = "mnist"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A zero, a six and noise, all of one size."""
    folder, rng = tmp_path_factory.mktemp("drawn"), np.random.default_rng(0)
    images = [Image.open(ROOT / "docs" / "examples" / name) for name in ("zero.png", "six.png")]
    noise = [Image.fromarray(rng.integers(0, 256, SIZE[::-1], np.uint8)) for _ in range(NUM_IMAGES - len(images))]
    paths = [folder / f"{number}.png" for number in range(NUM_IMAGES)]
    for path, image in zip(paths, images + noise, strict=True):
        image.resize(SIZE).save(path)
    return paths


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    models = tmp_path_factory.mktemp("models")
    copytree(ROOT / "models" / MODEL, models / MODEL)
    with running(models) as process:
        yield process


@pytest.fixture
def client(process: Process) -> Iterator[Any]:
    url = process.client.base_url
    opened = triton.InferenceServerClient(f"{url.host}:{url.port}")
    yield opened
    opened.close()


def encoded(paths: list[Path], *, binary: bool) -> Any:
    data = [path.read_bytes() for path in paths]
    tensor = triton.InferInput("image", [len(data)], "BYTES")
    elements = data if binary else [b64encode(each) for each in data]
    tensor.set_data_from_numpy(np.array(elements, object), binary_data=binary)
    return tensor


def pixels(paths: list[Path], *, binary: bool) -> Any:
    images = np.stack([np.asarray(Image.open(path)) for path in paths])[..., None]
    tensor = triton.InferInput("image", list(images.shape), "UINT8")
    tensor.set_data_from_numpy(images, binary_data=binary)
    return tensor


def asked(*names: str, binary: bool) -> list[Any]:
    return [triton.InferRequestedOutput(name, binary_data=binary) for name in names]


@pytest.fixture(scope="module")
def by_command(drawn: list[Path], tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """The rows of `anomaly score` for the same files."""
    out = tmp_path_factory.mktemp("out") / "results.csv"
    named = [str(path) for path in drawn]
    model = str(ROOT / "models" / MODEL)
    done = CliRunner().invoke(app, ["score", model, *named, "--out", str(out), "--device", "cpu"])
    assert done.exit_code == 0, done.output
    with out.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("made", [encoded, pixels])
def test_every_way_gives_the_scores_of_the_command_and_of_score(
    process: Process,
    client: Any,
    drawn: list[Path],
    by_command: list[dict[str, str]],
    made: Any,
    binary_in: bool,
    binary_out: bool,
) -> None:
    names = ["score", "p_value", "threshold", "is_anomalous", "residual"]
    answer = client.infer(MODEL, [made(drawn, binary=binary_in)], outputs=asked(*names, binary=binary_out))
    found: dict[str, NDArray[Any]] = {name: answer.as_numpy(name) for name in names}
    for name in ("score", "p_value", "threshold", "residual"):
        np.testing.assert_allclose(found[name], [float(row[name]) for row in by_command], rtol=1e-4)
    assert found["is_anomalous"].tolist() == [int(row["is_anomalous"] == "true") for row in by_command]
    assert set(found["is_anomalous"].tolist()) == {0, 1}
    for number, path in enumerate(drawn):
        scored = process.client.post("/score", content=path.read_bytes(), headers={"Content-Type": "image/png"}).json()
        assert found["score"][number] == pytest.approx(scored["score"], rel=1e-5)
        assert found["p_value"][number] == scored["p_value"]


def test_all_outputs_are_binary_unless_the_client_asks_otherwise(client: Any, drawn: list[Path]) -> None:
    answer = client.infer(MODEL, [encoded(drawn, binary=True)], model_version="2", request_id="7")
    metadata = client.get_model_metadata(MODEL, "2")
    described = {each["name"] for each in metadata["outputs"]}
    outputs = answer.get_response()["outputs"]
    assert {each["name"] for each in outputs} == described - {"heatmap", "error"}
    assert all(each["parameters"]["binary_data_size"] for each in outputs)
    assert (answer.get_response()["id"], answer.get_response()["model_version"]) == ("7", "2")


def test_heatmaps_are_those_of_score_before_they_are_rounded(process: Process, client: Any, drawn: list[Path]) -> None:
    in_bytes = client.infer(MODEL, [pixels(drawn, binary=True)], outputs=asked("heatmap", binary=True))
    in_json = client.infer(MODEL, [pixels(drawn, binary=True)], outputs=asked("heatmap", binary=False))
    heatmaps = in_bytes.as_numpy("heatmap")
    drawing = process.client.post("/score?heatmap=true", files={"file": drawn[0].read_bytes()}).json()["heatmap"]
    grey = np.asarray(Image.open(BytesIO(b64decode(drawing))))
    np.testing.assert_allclose(np.clip(heatmaps[0], 0, 1) * 255, grey, atol=0.51)
    assert (heatmaps.shape, heatmaps.dtype) == ((NUM_IMAGES, *SIZE[::-1]), np.float32)
    np.testing.assert_allclose(in_json.as_numpy("heatmap"), heatmaps, rtol=1e-4, atol=1e-5)  # of other batches


@pytest.mark.parametrize("binary", [True, False])
def test_parts_and_names_are_inputs_of_their_own(client: Any, drawn: list[Path], binary: bool) -> None:
    labels = []
    for name, values in (("part", ["A-1", "ä", "", "", "A-5"]), ("filename", [path.name for path in drawn])):
        labels.append(triton.InferInput(name, [len(values)], "BYTES"))
        labels[-1].set_data_from_numpy(np.array([value.encode() for value in values], object), binary_data=binary)
    alone = client.infer(MODEL, [encoded(drawn, binary=True)]).as_numpy("score")
    labelled = client.infer(MODEL, [labels[0], encoded(drawn, binary=True), labels[1]]).as_numpy("score")
    np.testing.assert_allclose(labelled, alone, rtol=1e-5)
    with pytest.raises(InferenceServerException, match=r"shape \[1\], a text for each image"):
        client.infer(MODEL, [encoded(drawn[:1], binary=True), labels[0]])


def test_without_threshold_there_is_no_number_and_no_verdict(client: Any, drawn: list[Path]) -> None:
    for binary in (True, False):
        answer = client.infer(
            MODEL,
            [encoded(drawn, binary=True)],
            outputs=asked("threshold", "is_anomalous", binary=binary),
            parameters={"alpha": 1e-9},
        )
        assert np.isnan(answer.as_numpy("threshold")).all()
        assert answer.as_numpy("is_anomalous").tolist() == [-1] * NUM_IMAGES


def test_errors_and_health_reach_the_client(client: Any, drawn: list[Path], tmp_path: Path) -> None:
    assert (client.is_server_live(), client.is_server_ready()) == (True, True)
    assert (client.is_model_ready(MODEL), client.is_model_ready("other")) == (True, False)
    (tmp_path / "bad.png").write_bytes(b"no image")
    several = encoded([*drawn, tmp_path / "bad.png"], binary=True)
    with pytest.raises(InferenceServerException, match=r"image\[5\]") as refused:
        client.infer(MODEL, [several])
    assert refused.value.status() == "415"
    answer = client.infer(MODEL, [several], outputs=asked("error", "score", binary=True))
    errors, scores = answer.as_numpy("error").tolist(), answer.as_numpy("score")
    assert (errors[:5], b"image[5]" in errors[5]) == ([b""] * 5, True)
    assert np.isnan(scores).tolist() == [False] * 5 + [True]


def test_models_are_unloaded_and_loaded(client: Any, drawn: list[Path]) -> None:
    client.unload_model(MODEL)
    assert not client.is_model_ready(MODEL)
    with pytest.raises(InferenceServerException, match="404"):
        client.infer(MODEL, [encoded(drawn, binary=True)])
    client.load_model(MODEL)
    assert [(each["name"], each["state"]) for each in client.get_model_repository_index()] == [(MODEL, "READY")]
    assert client.infer(MODEL, [encoded(drawn, binary=True)]).as_numpy("score").shape == (NUM_IMAGES,)


JSON_EXAMPLE = """\
POST /v2/models/mnist/infer HTTP/1.1
Host: localhost:8000
Content-Type: application/json
Content-Length: <xx>

{
  "id" : "42",
  "inputs" : [
    {
      "name" : "image",
      "shape" : [ 1, 2, 2 ],
      "datatype" : "UINT8",
      "data" : [ 1, 2, 3, 4 ]
    }
  ],
  "outputs" : [
    {
      "name" : "score"
    }
  ]
}
"""
BINARY_EXAMPLE = """\
POST /v2/models/mnist/infer HTTP/1.1
Host: localhost:8000
Content-Type: application/octet-stream
Inference-Header-Content-Length: <xx>
Content-Length: <xx+4>

{
  "model_name" : "mnist",
  "inputs" : [
    {
      "name" : "image",
      "shape" : [ 1, 2, 2 ],
      "datatype" : "UINT8",
      "parameters" : {
        "binary_data_size" : 4
      }
    }
  ],
  "outputs" : [
    {
      "name" : "score",
      "parameters" : {
        "binary_data" : true
      }
    }
  ]
}
"""
"""The examples that the protocol and its binary extension print, with a tensor of one image for theirs."""


def replay(process: Process, example: str, tail: bytes = b"") -> tuple[dict[str, str], bytes]:
    """Headers and body of the answer to a request as it is printed."""
    head, _, body = example.partition("\n\n")
    head = head.replace("<xx+4>", str(len(body) + 4)).replace("<xx>", str(len(body))).replace("\n", "\r\n")
    request = f"{head}\r\nConnection: close\r\n\r\n{body}".encode() + tail
    with socket.create_connection((process.client.base_url.host, process.client.base_url.port or 0)) as connection:
        connection.sendall(request)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    start, _, found = answer.partition(b"\r\n\r\n")
    assert start.startswith(b"HTTP/1.1 200 OK\r\n"), answer
    return dict(re.findall(r"([\w-]+): ([^\r]*)", start.decode().lower())), found


def test_the_protocols_own_example_is_answered_as_it_says(process: Process) -> None:
    headers, body = replay(process, JSON_EXAMPLE)
    answer = json.loads(body)
    assert (headers["content-type"], int(headers["content-length"])) == ("application/json", len(body))
    assert (answer["id"], answer["model_name"]) == ("42", "mnist")
    (output,) = answer["outputs"]
    assert set(output) == {"name", "shape", "datatype", "data"}
    assert (output["name"], output["shape"], output["datatype"]) == ("score", [1], "FP64")


def test_the_binary_extensions_own_example_is_answered_as_it_says(process: Process) -> None:
    headers, body = replay(process, BINARY_EXAMPLE, b"\1\2\3\4")
    length = int(headers["inference-header-content-length"])
    assert (headers["content-type"], int(headers["content-length"])) == ("application/octet-stream", length + 8)
    (output,) = json.loads(body[:length])["outputs"]
    assert output == {"name": "score", "shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 8}}
    (in_json,) = json.loads(replay(process, JSON_EXAMPLE)[1])["outputs"]
    assert np.frombuffer(body[length:], "<f8").tolist() == pytest.approx(in_json["data"], rel=1e-5)


def test_a_request_for_another_model_is_told_what_this_one_takes(process: Process) -> None:
    example = json.loads(JSON_EXAMPLE.partition("\n\n")[2])
    example["inputs"].append({"name": "input1", "shape": [3], "datatype": "BOOL", "data": [True]})
    answer = process.client.post(f"/v2/models/{MODEL}/infer", json=example)
    assert answer.status_code == 400
    assert answer.json() == {
        "error": "The inputs are 'image' and, optionally, 'part' and 'filename', each once; this request has 'image', "
        "'input1'."
    }
