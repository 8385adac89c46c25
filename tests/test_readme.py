"""Every command of the README, as written, by a user who has just cloned the project."""

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """The lines of README's shell blocks, in order, without comments."""
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    return [line.split("    #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like a clone, where the commands may write."""
    home = tmp_path_factory.mktemp("clone")
    for name in ("models", "docs", "examples"):
        (home / name).symlink_to(ROOT / name)
    return home


def run(command: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        shlex.split(command), cwd=home, env=environment(), capture_output=True, text=True, check=False, timeout=480
    )


def environment() -> dict[str, str]:
    return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def test_readme_has_the_commands_that_ci_and_this_file_run() -> None:
    kinds = {shlex.split(command)[0] for command in commands()}
    assert kinds == {"make", "curl", "anomaly", "python", "docker"}  # make and curl: .ci/run; docker: make image-check


@pytest.mark.timeout(900)
def test_library_commands_run_as_written(home: Path) -> None:
    (home / "out").mkdir()
    library = [
        command for command in commands() if command.startswith(("anomaly ", "python ")) and "serve " not in command
    ]
    assert len(library) >= 11
    assert "anomaly train out/parts --out out/models/parts" in library
    for command in library:
        done = run(briefly(command), home)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    rows = [json.loads(line) for line in (home / "out" / "results.jsonl").read_text().splitlines()]
    assert [Path(row["path"]).name for row in rows] == ["six.png", "zero.png"]
    assert [row["is_anomalous"] for row in rows] == [True, False]
    assert (home / "out" / "report" / "report.html").is_file()
    assert len(list((home / "out" / "heatmaps").iterdir())) == 2
    calibrating_leaves_the_test_images_of_the_walk(library, home)


def briefly(command: str) -> str:
    """The command; a training of minutes has smaller pictures and a limit, so that the gate takes no longer."""
    brief = " --max-minutes 0.02 --set preprocess.size=128"
    return command + brief if command.startswith("anomaly train out/parts ") else command


def calibrating_leaves_the_test_images_of_the_walk(library: list[str], home: Path) -> None:
    """After the walk's last command its `evaluate` can be given again, and still has all 80 test images."""
    (evaluate,) = [command for command in library if command.startswith("anomaly evaluate out/models/parts ")]
    done = run(evaluate.replace("out/report", "out/report-again"), home)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((home / "out" / "report-again" / "metrics.json").read_text())
    assert (metrics["model"], metrics["num_normal"], metrics["num_anomalous"]) == ("parts/2", 40, 40)


def test_python_lines_run_as_written(home: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    done = run(shlex.join([sys.executable, "-c", program + "\nprint(scores.is_anomalous)"]), home)
    assert done.stdout.strip() == "[False, True]", done.stderr


def test_served_bundles_answer_the_curl_of_the_readme(home: Path) -> None:
    (serve,) = [command for command in commands() if " serve " in command]
    curls = [command for command in commands() if command.startswith("curl")]
    verdicts = []
    with server(serve.replace("out/models", "models").replace("digits", "mnist"), home) as port:
        for curl in curls:
            done = run(curl.replace(":8000", f":{port}"), home)
            verdicts.append(json.loads(done.stdout)["is_anomalous"])
    assert verdicts == [False, True]


@contextmanager
def server(command: str, home: Path) -> Iterator[int]:
    """The README's server, on a free port instead of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = re.sub(r"--port \d+", f"--port {port}", command)
    process = subprocess.Popen(
        shlex.split(command), cwd=home, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(240):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                    break
            except OSError:
                assert process.poll() is None, "the server has stopped"
                time.sleep(0.25)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=40)


@pytest.mark.parametrize(
    ("word", "definition"),
    [
        (r"\bAUROC\b", "AUROC is the chance that"),
        (r"\bAUPRO\b", "AUPRO is the share of each defect that is covered"),
        (r"\bbundles?\b", "the *bundle*, which is the trained model as a folder"),
        (r"\bterms?\b", "A **term** is one number of evidence"),
        (r"\bp-values?\b", "The **p-value** says how seldom a normal image scores this high"),
        (r"\bFDR\b", "(FDR: the false-discovery rate)"),
        (r"\bGANs?\b", "(A GAN is a network that learns to draw normal images.)"),
        (r"\blatents?\b", "short vectors of numbers, the latents z"),
        (r"\bG\b", "A generator **G** makes images"),
        (r"\bD\b", "A discriminator **D** learns"),
        (r"\bE\b", "has an encoder **E** for that"),
    ],
)
def test_a_word_is_defined_where_it_first_appears(word: str, definition: str) -> None:
    """In its sentence or the next; code, links' addresses and what a command prints do not count."""
    prose = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)", " ", README, flags=re.DOTALL)
    text = " ".join(prose.split())
    first = re.search(word, text)
    assert first is not None
    assert definition in text
    assert first.start() >= text.index(definition) - 150
