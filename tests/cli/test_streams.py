"""Output that cannot be written ends no command: the work is done, its exit code stays, and it is said once."""

import subprocess
import sys
from pathlib import Path

import pytest

from anomaly.bundle import load
from service.edge.keys import read_keys
from tests.cli.calls import NO_GRAPH, TINY
from tests.digit_images import digits, write_images
from tests.field.programs import PROGRAM

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no device that is always full")
SAID = "cannot be written: No space left on device; the work goes on without it"


def run(*arguments: str | Path, full: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The program with one stream, or both, on a full disk."""
    with FULL.open("wb") as disk:
        streams = {name: disk if name in full else subprocess.PIPE for name in ("stdout", "stderr")}
        return subprocess.run([PROGRAM, *arguments], text=True, env=env, **streams)  # type: ignore[call-overload,no-any-return]


@needs_full
@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("recipes", "list"), 0), (("--help",), 0), (("models", "show", "/nowhere"), 2), (("models", "nonsense"), 2)],
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_leaves_the_exit_code_and_is_said_once_on_the_other_stream(
    arguments: tuple[str, ...], code: int, unbuffered: str
) -> None:
    env = {"PYTHONUNBUFFERED": unbuffered}
    out, err = (run(*arguments, full=full, env=env) for full in ("stdout", "stderr"))
    assert (out.returncode, err.returncode) == (code, code)
    assert run(*arguments, full="stdout stderr", env=env).returncode == code
    said_by = (out.stderr.count(f"standard output {SAID}"), err.stdout.count(f"standard error {SAID}"))
    assert said_by == ((1, 0) if code == 0 else (0, 1))
    assert "Traceback" not in out.stderr
    assert "Exception ignored" not in out.stderr


@needs_full
def test_a_key_that_nobody_saw_is_not_kept(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    ended = run("keys", "add", "line-3", "--file", file, full="stdout")
    assert ended.returncode == 2
    assert f"the key could not be shown, so {file} does not keep it; give the command again" in ended.stderr
    closed: list[str | Path] = ["sh", "-c", 'exec "$0" "$@" >&-', PROGRAM, "keys", "add", "line-3", "--file", file]
    without = subprocess.run(closed, text=True, stderr=subprocess.PIPE)
    assert (without.returncode, without.stderr) == (2, ended.stderr.partition("\n")[2])  # there is nothing to warn of
    shown = run("keys", "add", "line-3", "--file", file, full="stderr")
    assert (shown.returncode, [key.name for key in read_keys(file)]) == (0, ["line-3"])


@needs_full
@pytest.mark.parametrize("full", ["stdout", "stderr"])
def test_a_training_ends_with_its_bundle(tmp_path: Path, full: str) -> None:
    write_images(tmp_path / "in", digits("train", "0")[:40])
    ended = run("train", tmp_path / "in", "--out", tmp_path / "m", *TINY, *NO_GRAPH, full=full)
    assert ended.returncode == 0
    assert load(tmp_path / "m").version == 1


def test_who_reads_a_pipe_may_go() -> None:
    with subprocess.Popen([PROGRAM, "recipes", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read().decode()
    assert process.returncode == 0
    assert said.startswith("warning: standard output cannot be written: ")
    assert said.count("\n") == 1


def test_what_a_console_cannot_show_is_an_escape_and_streams_are_replaced_once() -> None:
    program = """
import sys
from anomaly.cli.streams import make_lenient
make_lenient()
first = sys.stdout
make_lenient()
assert sys.stdout is first
print("検", sys.stdout.isatty(), sys.stdout.fileno())
"""
    ended = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", program], capture_output=True, env={"PYTHONIOENCODING": "ascii"}
    )
    assert ended.stdout == b"\\u691c False 1\n", ended.stderr
