"""The command line as a program: help that documents, exit codes, and no traceback for a user's mistake."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.core import TyperGroup

from tests.cli.calls import call, command_of, refused, verbs_of
from tests.digit_images import normals, write_images

VERBS = verbs_of()


def run_program(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("anomaly")
    return subprocess.run([program, *arguments], capture_output=True, text=True)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: tuple[str, ...]) -> None:
    for flag in ("--help", "-h"):
        result = call(*verb, flag)
        assert result.exit_code == 0
        assert (command_of(verb).help or "")[:30] in result.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_says_what_it_is(verb: tuple[str, ...]) -> None:
    assert command_of(verb).help
    for parameter in command_of(verb).params:
        assert getattr(parameter, "help", None), f"{' '.join(verb)} {parameter.name}"


def test_these_are_the_verbs() -> None:
    program = command_of(())
    assert isinstance(program, TyperGroup)
    verbs = [
        "data",
        "region",
        "train",
        "train-many",
        "calibrate",
        "refine",
        "score",
        "evaluate",
        "inspect",
        "serve",
        "watch",
        "archive",
        "export",
        "recipes",
        "models",
        "keys",
        "history",
    ]
    assert list(program.commands) == verbs


@pytest.mark.parametrize("arguments", [(), ("--help",), ("train", "--help")])
def test_what_needs_no_torch_does_not_wait_for_it(arguments: tuple[str, ...]) -> None:
    program = (
        f"import sys; sys.argv = ['anomaly', *{arguments!r}]\n"
        "from anomaly.cli import app\n"
        "try: app()\n"
        "except SystemExit: pass\n"
        "slow = {'torch', 'sklearn', 'matplotlib', 'fastapi'} & set(sys.modules)\n"
        "sys.exit(f'imported {slow}' if slow else 0)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_a_program_ends_with_the_exit_code_and_no_traceback(bigan_dir: Path, tmp_path: Path) -> None:
    (image,) = write_images(tmp_path, normals()[:1])
    some = run_program("score", bigan_dir, image, tmp_path / "missing.png", "--out", tmp_path / "r.csv")
    assert (some.returncode, some.stderr) == (1, f"{tmp_path / 'missing.png'}: does not exist; check the path\n")
    wrong = run_program("models", "show", tmp_path)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: there is no bundle at")
    assert wrong.stderr.count("\n") == 1


def test_the_module_is_the_program(tmp_path: Path) -> None:
    """Where the folder of programs is not on the PATH."""
    help_, wrong = (
        subprocess.run([sys.executable, "-m", "anomaly", *arguments], capture_output=True, encoding="utf-8")
        for arguments in (["recipes", "list", "--help"], ["models", "show", str(tmp_path)])
    )
    assert help_.returncode == 0
    assert "Usage: python -m anomaly recipes list" in help_.stdout
    program = run_program("models", "show", tmp_path)
    assert (wrong.returncode, wrong.stdout, wrong.stderr) == (2, program.stdout, program.stderr)
    assert wrong.stderr.startswith("error: there is no bundle at")


def test_markup_in_a_name_is_shown_as_it_is(tmp_path: Path) -> None:
    assert "[bold]x[/bold]" in refused("models", "show", tmp_path / "[bold]x[/bold]")


def test_the_machines_refusal_is_a_sentence_too(
    bigan_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(self))

    (image,) = write_images(tmp_path, normals()[:1])
    monkeypatch.setattr(Path, "replace", full)
    assert "No space left on device" in refused("score", bigan_dir, image, "--out", tmp_path / "r.csv")


def test_serve_refuses_what_is_not_safe(tmp_path: Path) -> None:
    message = refused("serve", "--models", tmp_path, "--host", "0.0.0.0")  # noqa: S104 - this is what is refused
    assert "--insecure" in message
