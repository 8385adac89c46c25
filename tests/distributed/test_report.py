"""The page of an archive: what is flagged where, and the strangest images, read again from their shards."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from anomaly.data import to_array
from anomaly.distributed import report
from anomaly.distributed.report import report_archive
from anomaly.errors import DataError
from anomaly.report import archive_page
from benchmarks.archives import write_tars
from tests.alive import Alive
from tests.cli.calls import done, refused
from tests.digit_images import normals, write_images
from tests.distributed.archives import MNIST, OPTIONS


def test_the_page_has_histograms_shards_and_the_strangest_images(tmp_path: Path) -> None:
    source, out = write_tars(tmp_path / "src<b>", 2, 60), tmp_path / "dest"
    done("archive", MNIST, source, "--out", out, "--workers", "1", "--device", "cpu")
    told = done("archive", "--report", out, "--device", "cpu").stdout
    assert told == f"{out}/_report.html is written\n"
    page = (out / "_report.html").read_text("utf-8")
    tables = [parquet.read_table(path) for path in sorted(out.glob("*.parquet"))]
    scores = np.concatenate([table["score"].to_numpy() for table in tables])
    paths = [path for table in tables for path in table["path"].to_pylist()]
    num_flagged = sum(table["is_anomalous"].to_pylist().count(True) for table in tables)
    assert f"{num_flagged} of 120 images are\n    flagged" in page
    strangest = [paths[row] for row in np.argsort(-scores, kind="stable")[:100]]
    assert re.findall(r'<figcaption>\s*<span class="path">(.*?)</span>', page) == strangest
    assert page.count('alt="heatmap over the image"') == 100
    assert page.count("<source srcset=") == 3
    assert "src<b>" not in page
    assert "src&lt;b&gt;" in page
    assert "<script" not in page
    assert "http" not in page

    (source / "shard-00001.tar").unlink()
    report_archive(str(out), device="cpu")  # what is gone is left out, and its results with it
    with pytest.raises(DataError, match="is not the one that scored"):
        report_archive(str(out), model=MNIST.with_name("mnist-anogan"), device="cpu")
    (out / "_manifest.json").unlink()
    with pytest.raises(DataError, match="has not ended"):
        report_archive(str(out), device="cpu")


def test_flagged_images_lie_on_the_axis_of_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is as long as the archive's scores need, also where they are above all that calibrate."""
    found: list[archive_page.ArchiveFindings] = []

    def remember(findings: archive_page.ArchiveFindings) -> str:
        found.append(findings)
        return ""

    monkeypatch.setattr(archive_page, "render_archive", remember)
    source, out = write_tars(tmp_path / "src", 2, 60), tmp_path / "dest"
    done("archive", MNIST, source, "--out", out, *OPTIONS)
    report_archive(str(out), device="cpu")
    scores = np.concatenate([parquet.read_table(path)["score"].to_numpy() for path in sorted(out.glob("*.parquet"))])
    (findings,) = found
    assert findings.threshold is not None
    edges = findings.scores.edges
    assert edges[0] <= scores.min()
    assert (findings.scores.counts[edges[:-1] > findings.threshold]).sum() + findings.scores.above > 5
    assert findings.scores.above == (scores > edges[-1]).sum() < (scores > findings.threshold).sum()
    assert findings.scores.counts.sum() + findings.scores.above == 120


def test_p_values_of_few_calibration_images_leave_no_gaps_between_them(
    bigan_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are fewer of them than bins, and "spread evenly", as the page has it, must not read as gaps."""
    found: list[archive_page.ArchiveFindings] = []

    def remember(findings: archive_page.ArchiveFindings) -> str:
        found.append(findings)
        return ""

    monkeypatch.setattr(archive_page, "render_archive", remember)
    source, out = tmp_path / "src", tmp_path / "dest"
    for shard in range(3):
        write_images(source / f"{shard}", normals())
    done("archive", bigan_dir, source, "--out", out, *OPTIONS)
    report_archive(str(out), device="cpu")
    told = np.concatenate([parquet.read_table(path)["p_value"].to_numpy() for path in sorted(out.glob("*.parquet"))])
    (findings,) = found
    counts = findings.p_values.counts
    assert counts.sum() == len(told) == 3 * len(normals())
    assert np.count_nonzero(counts) > len(np.unique(told))  # equal ones are in several bins


def test_without_a_threshold_the_page_says_that_nothing_can_be_flagged(tmp_path: Path) -> None:
    source, out = write_tars(tmp_path / "src", 1, 4), tmp_path / "dest"
    done("archive", MNIST, source, "--out", out, "--alpha", "0.001", *OPTIONS)
    report_archive(str(out), device="cpu")
    page = " ".join((out / "_report.html").read_text("utf-8").split())
    assert (
        "0 of 4 images are flagged: no threshold, 592 calibration images are too few for a false-alarm rate of 0.001."
        in page
    )


@pytest.mark.parametrize("name", ["_plan.json", "_manifest.json"])
def test_a_plan_or_manifest_that_is_not_as_it_is_written_is_said_so(name: str, tmp_path: Path) -> None:
    """Damaged, or written by another version of anomaly."""
    source, out = write_tars(tmp_path / "src", 1, 4), tmp_path / "dest"
    done("archive", MNIST, source, "--out", out, *OPTIONS)
    whole = json.loads((out / name).read_text())
    other = whole | {"recipe": whole["recipe"] | {"later": 1}}
    for content in ("", "{}", "[]", "null", json.dumps(whole | {"recipe": []}), json.dumps(other)):
        (out / name).write_text(content)
        for option in ("--status", "--report"):
            assert f"{name} in {out} is " in refused("archive", option, out)
    done("archive", MNIST, source, "--out", out, *OPTIONS)
    done("archive", "--status", out)


def test_the_strangest_images_are_drawn_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = write_tars(tmp_path / "src", 2, 20), tmp_path / "dest"
    done("archive", MNIST, source, "--out", out, "--workers", "1", "--device", "cpu")
    images = Alive()
    monkeypatch.setattr(report, "to_array", images.all_of(to_array))
    report_archive(str(out), device="cpu")
    assert images.num_added == 40
    assert images.most <= 2
