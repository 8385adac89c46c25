"""`anomaly watch` as a program: signals, exit codes, refusals; and without torch."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.calls import refused
from tests.digit_images import normals, others, write_images
from tests.watch.watchers import rows_of, wait_for

# The program, and what it has imported at its end.
PROGRAM = """
import sys
from anomaly.cli import app
try:
    app()
finally:
    print("imported:", *(name for name in ("torch", "sklearn", "scipy", "matplotlib") if name in sys.modules))
"""


def start(*words: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", PROGRAM, "watch", *map(str, words), "--device", "cpu", "--settle", "0.1"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_when_what_is_accepted_is_reported(bigan_dir: Path, tmp_path: Path, number: int) -> None:
    write_images(tmp_path / "in", [*normals()[:20], *others()[:20]])
    (tmp_path / "in" / "broken.png").write_text("no image")
    process = start(bigan_dir, tmp_path / "in", "--to", tmp_path / "r.jsonl", "--move-to", tmp_path / "out")
    wait_for(lambda: len(rows_of(tmp_path / "r.jsonl")) > 0)
    process.send_signal(number)
    told, errors = process.communicate(timeout=60)
    rows = rows_of(tmp_path / "r.jsonl")
    num_anomalous = sum(row["is_anomalous"] is True for row in rows)
    assert (process.returncode, errors) == (0, "")
    assert told.splitlines() == [
        f"watching {tmp_path / 'in'}; reports go to {tmp_path / 'r.jsonl'}; Ctrl-C ends it",
        f"41 reported: {num_anomalous} anomalous, 1 without a score",
        "imported:",  # no torch
    ]
    assert sum(path.is_file() for path in (tmp_path / "out").rglob("*")) == 41


def test_without_a_threshold_it_says_so_and_counts_no_verdicts(bigan_dir: Path, tmp_path: Path) -> None:
    """None is called anomalous then, which must not read as if all were good."""
    write_images(tmp_path / "in", others()[:3])
    process = start(bigan_dir, tmp_path / "in", "--to", tmp_path / "r.jsonl", "--alpha", "0.0001")
    wait_for(lambda: len(rows_of(tmp_path / "r.jsonl")) == 3)
    process.send_signal(signal.SIGTERM)
    told, errors = process.communicate(timeout=60)
    assert errors.startswith("no threshold: alpha = 0.0001 needs at least 9,999 calibration images")
    assert "3 reported: no verdicts, 0 without a score" in told


def test_reports_that_wait_are_said(bigan_dir: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "in", normals()[:3])
    process = start(bigan_dir, tmp_path / "in", "--to", "http://127.0.0.1:9/reports?token=hidden")
    assert process.stderr is not None
    failure = process.stderr.readline()
    assert failure.startswith("http://127.0.0.1:9/reports does not answer")
    process.send_signal(signal.SIGTERM)
    told, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "reports go to http://127.0.0.1:9/reports; Ctrl-C ends it" in told
    assert "hidden" not in told + failure + errors  # what is printed goes into logs
    assert "0 reported: 0 anomalous, 0 without a score; 3 wait in the journal for the next start" in told


def test_refusals(bigan_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret").write_text("weak")
    to = ("--to", tmp_path / "r.csv")
    assert "is no folder that can be watched" in refused("watch", bigan_dir, tmp_path / "no", *to)
    assert "expected FILE.csv" in refused("watch", bigan_dir, tmp_path / "in", "--to", "smtp://host/")
    webhook = ("--to", "https://host/", "--secret-file", tmp_path / "secret")
    assert "is not base64 of at least 24 bytes" in refused("watch", bigan_dir, tmp_path / "in", *webhook)
    assert "there is no bundle" in refused("watch", tmp_path / "none", tmp_path / "in", *to)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "secret"]


def test_a_library_that_is_missing_is_named(bigan_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    for library, to in (("httpx", "https://host/"), ("paho.mqtt.client", "mqtt://host/t"), ("watchfiles", "r.csv")):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, library, None)
            told = refused("watch", bigan_dir, tmp_path / "in", "--to", to)
        assert f"needs {library}: pip install 'anomaly[watch]'" in told
