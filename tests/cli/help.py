"""The help texts at 80 columns, kept in tests/cli/help. Renew them with `python -m tests.cli.help`."""

from pathlib import Path

from typer.testing import CliRunner

from anomaly.cli import app
from tests.cli.calls import verbs_of

FOLDER = Path(__file__).with_name("help")
COLUMNS = 80


def shown(verb: tuple[str, ...]) -> str:
    """What `anomaly VERB --help` prints, to the letter."""
    env = {"COLUMNS": str(COLUMNS)}
    runner = CliRunner()
    return runner.invoke(app, [*verb, "--help"], env=env, prog_name="anomaly", catch_exceptions=False).stdout


def help_text(verb: tuple[str, ...]) -> str:
    """The same without blank lines before and after it, and blanks at the ends of lines."""
    return "\n".join(line.rstrip() for line in shown(verb).strip().splitlines()) + "\n"


def path_of(verb: tuple[str, ...]) -> Path:
    return FOLDER / f"{'-'.join(('anomaly', *verb))}.txt"


def renew() -> None:
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.iterdir():
        path.unlink()
    for verb in verbs_of():
        path_of(verb).write_text(help_text(verb), encoding="utf-8")


if __name__ == "__main__":
    renew()
