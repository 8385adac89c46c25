import csv
import json
from pathlib import Path

import pytest

from anomaly.errors import StorageError, UsageError
from anomaly.evaluation import Evaluation, metrics_of, summarise
from anomaly.report.report import write_report
from tests.evaluation.evaluations import make_evaluation, make_pixel

HOSTILE = ['=cmd|" /C calc"!A0.png', '+a,"b".png', "-1\n2.png", "@é.png", "\udcff.png"]


def write(evaluation: Evaluation, out: Path) -> dict[str, object]:
    summary = summarise(evaluation)
    write_report(evaluation, summary, out)
    return metrics_of(evaluation, summary)


def read_rows(out: Path) -> list[dict[str, str]]:
    with (out / "scores.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_report_has_its_four_files(tmp_path: Path) -> None:
    out = tmp_path / "new" / "report"
    metrics = write(make_evaluation(), out)
    assert {"metrics.json", "scores.csv", "roc.png", "report.html"} == {path.name for path in out.iterdir()}
    assert metrics == json.loads((out / "metrics.json").read_text("utf-8"))
    assert (out / "roc.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "report.html").read_text("utf-8").startswith("<!doctype html>")


@pytest.mark.usefixtures("no_figures")
def test_rows_give_back_what_was_scored(tmp_path: Path) -> None:
    evaluation = make_evaluation(threshold=0.7)  # which two of the scores equal
    write(evaluation, tmp_path)
    rows = read_rows(tmp_path)
    columns = ["path", "label", "kind", "score", "p_value", "is_anomalous", "residual", "cross_entropy"]
    assert columns == list(rows[0])
    assert evaluation.images.paths == [row["path"] for row in rows]
    assert evaluation.images.kinds == [row["kind"] for row in rows]
    assert evaluation.images.labels.tolist() == [row["label"] == "anomalous" for row in rows]
    assert (evaluation.images.scores > 0.7).tolist() == [row["is_anomalous"] == "True" for row in rows]
    for name, values in {
        "score": evaluation.images.scores,
        "p_value": evaluation.images.p_values,
        **evaluation.images.terms,
    }.items():
        assert values.tolist() == [float(row[name]) for row in rows]


@pytest.mark.usefixtures("no_figures")
def test_rows_name_the_masks_that_could_not_be_used(tmp_path: Path) -> None:
    write(make_evaluation(pixel=make_pixel()), tmp_path)
    rows = read_rows(tmp_path)
    assert list(rows[0])[-1] == "mask_error"
    assert [row["mask_error"] for row in rows] == [""] * 19 + ["the mask is torn"]


@pytest.mark.usefixtures("no_figures")
def test_hostile_names_stay_as_they_are(tmp_path: Path) -> None:
    paths = [*HOSTILE, *make_evaluation().images.paths[len(HOSTILE) :]]
    write(make_evaluation(paths=paths), tmp_path)
    assert [*HOSTILE[:-1], "\\udcff.png", *paths[len(HOSTILE) :]] == [row["path"] for row in read_rows(tmp_path)]


@pytest.mark.usefixtures("no_figures")
def test_without_a_threshold_there_is_no_verdict(tmp_path: Path) -> None:
    write(make_evaluation(threshold=None), tmp_path)
    assert {row["is_anomalous"] for row in read_rows(tmp_path)} == {""}


@pytest.mark.usefixtures("no_figures")
def test_a_second_report_replaces_the_first(tmp_path: Path) -> None:
    write(make_evaluation(), tmp_path)
    write(make_evaluation(name="tiles/2"), tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text("utf-8"))["model"] == "tiles/2"
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.usefixtures("no_figures")
def test_the_same_evaluation_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(make_evaluation(), tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


@pytest.mark.usefixtures("no_figures")
def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot write .*report.html into .*file: .*\. Give another --out"):
        write(make_evaluation(), tmp_path / "file")


@pytest.mark.usefixtures("no_figures")
def test_a_file_that_cannot_be_replaced_leaves_nothing_half_written(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").mkdir()
    with pytest.raises(StorageError, match="cannot write"):
        write(make_evaluation(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("name", ["metrics.json", "scores.csv", "roc.png", "report.html"])
def test_a_file_that_no_evaluation_has_written_is_not_replaced(tmp_path: Path, name: str) -> None:
    for _ in range(2):  # an earlier report is
        write(make_evaluation(), tmp_path)
    (tmp_path / name).write_text("path,score,p_value,is_anomalous\n")
    with pytest.raises(UsageError, match=f"{name} exists and is not of an earlier run of this command, so it is not"):
        write(make_evaluation(), tmp_path)
    assert (tmp_path / name).read_text() == "path,score,p_value,is_anomalous\n"
