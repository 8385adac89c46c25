"""The loop of docs/service.md: what people say of scored images makes a detector better, by its commands as written."""

import json
import re
import shlex
from pathlib import Path
from shutil import copytree

import httpx
import numpy as np
import pytest
from PIL import Image

from anomaly.bundle import load
from anomaly.training.places import labelled
from tests.cli.calls import done, refused
from tests.digit_images import normals, others, write_images
from tests.service.processes import running
from tests.service.records.history.entries import found, writing

SERVICE = (Path(__file__).parents[2] / "docs" / "service.md").read_text(encoding="utf-8")


def documented() -> list[list[str]]:
    """The commands of the section on corrections that are for the command line, without `anomaly`."""
    section = SERVICE.partition("### Corrections")[2].partition("\n## ")[0]
    lines = re.findall(r"^anomaly (.*?)(?:  +#.*)?$", section, flags=re.MULTILINE)
    return [shlex.split(line) for line in lines]


def score(client: httpx.Client, path: Path) -> dict[str, object]:
    with path.open("rb") as file:
        answer: dict[str, object] = client.post("/score", files={"file": file}).json()
    return answer


def test_corrections_calibrate_and_evaluate(bigan_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copytree(bigan_dir, tmp_path / "models" / "line")
    labels = dict.fromkeys(write_images(tmp_path / "images" / "a", normals()), "normal")
    labels |= dict.fromkeys(write_images(tmp_path / "images" / "b", others()[:20]), "anomalous")
    serve, export, calibrate, evaluate, *_ = documented()
    assert serve == ["serve", "--models", "models", "--history", "history.sqlite"]
    with running(tmp_path / "models", ANOMALY_HISTORY=str(tmp_path / "history.sqlite")) as process:
        for path, label in labels.items():
            number = score(process.client, path)["history_id"]
            answer = process.client.put(f"/history/{number}/correction", json={"correction": label})
            assert answer.status_code == 200
    monkeypatch.chdir(tmp_path)
    said = done(*export)
    listed = re.search(r"(\d+) normal images to calibrate with; to evaluate on, (\d+) normal and 20", said.stdout)
    assert listed
    num_calibrate, num_normal = map(int, listed.groups())
    assert re.search(
        r"of the 20 anomalous images had been flagged\. If images that passed were looked at less",
        " ".join(said.stderr.split()),
    )
    assert num_calibrate + num_normal == 35
    done(*calibrate)
    assert load(tmp_path / "models" / "line").contents.calibration.num_calibration == num_calibrate
    said = done(*evaluate)
    assert "left out" not in said.stderr
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert (metrics["num_normal"], metrics["num_anomalous"]) == (num_normal, 20)


def test_mistakes_are_sentences(tmp_path: Path) -> None:
    out = ("--images", tmp_path, "--out", tmp_path / "out.csv")
    assert "cannot be read" in refused("history", "export", tmp_path / "nowhere.sqlite", *out)
    nowhere = ("--images", tmp_path / "nowhere", "--out", tmp_path / "out.csv")
    with writing(tmp_path / "history.sqlite"):
        said = refused("history", "export", tmp_path / "history.sqlite", *out[:2], *nowhere)
    assert f"{tmp_path / 'nowhere'} does not exist" in said
    (tmp_path / "text.sqlite").write_text("no database" * 999)
    assert "cannot be read" in refused("history", "export", tmp_path / "text.sqlite", *out)
    assert "a folder that exists" in refused("serve", "--models", tmp_path, "--history", tmp_path / "no" / "h.sqlite")
    assert "cannot be used" in refused("history", "restart-drift", tmp_path / "text.sqlite", "mnist")
    for verb in (("serve", "--models", tmp_path, "--history"), ("history", "restart-drift")):
        said = refused(*verb, "postgresql://line:s3cret@db:s3cret/x", *([] if verb[0] == "serve" else ["mnist"]))
        assert "URL cannot be read" in said
        assert "s3cret" not in said


def test_drift_is_restarted(tmp_path: Path) -> None:
    with writing(tmp_path / "history.sqlite") as do:
        do(lambda history: history.add([found(1, model="mnist")]))
    for said in ("begins anew, in 1 version", "has no drift"):
        assert said in done("history", "restart-drift", tmp_path / "history.sqlite", "mnist").stdout
    said = refused("history", "restart-drift", tmp_path / "history.sqlite", "minst")
    assert "no rows of the model 'minst'; there are those of mnist" in said


def test_defects_that_were_missed_teach(
    whole_places_dir: Path, drawn_parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands after those, on a model on pretrained features; what was scored is written without a server."""
    monkeypatch.setattr(labelled, "_STEPS", 20)
    copytree(whole_places_dir, tmp_path / "models" / "line")
    (tmp_path / "images").mkdir()
    labels = ["normal"] * 20 + ["anomalous"] * 8
    for i, label in enumerate(labels):
        pixels = np.full((64, 64), 80 + i, np.uint8)
        pixels[20:50, 10 + i : 14 + i] = 250 if label == "anomalous" else 100
        Image.fromarray(pixels).save(tmp_path / "images" / f"{i:02d}.png")
    with writing(tmp_path / "history.sqlite") as do:
        sent = [path.read_bytes() for path in sorted((tmp_path / "images").iterdir())]
        do(lambda history: history.add([found(i, data=data) for i, data in enumerate(sent)]))
        for i, label in enumerate(labels):
            do(lambda history, i=i, label=label: history.correct(i + 1, label, "a"))  # type: ignore[misc]
    monkeypatch.chdir(tmp_path)
    *_, export, refine, evaluate = documented()
    said = re.search(r"(\d) anomalous images to teach; to evaluate on, (\d) normal and (\d) an", done(*export).stdout)
    assert said
    num_taught, num_normal, num_evaluated = map(int, said.groups())
    assert num_taught + num_evaluated == 8
    done(*(str(drawn_parts) if word == "DATA" else word for word in refine), "--device", "cpu")
    assert load(tmp_path / "models" / "line").manifest.data.labelled == {"": num_taught}
    done(*evaluate)
    metrics = json.loads((tmp_path / "report-refined" / "metrics.json").read_text())
    assert (metrics["num_normal"], metrics["num_anomalous"]) == (num_normal, num_evaluated)
