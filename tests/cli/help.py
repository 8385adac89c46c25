"""The help texts at 80 columns, kept in tests/cli/help. Renew them with `python -m tests.cli.help`."""

from pathlib import Path

from typer.testing import CliRunner

from anomaly.cli import app
from tests.cli.calls import verbs_of

FOLDER = Path(__file__).with_name("help")
COLUMNS = 80


def help_text(verb: tuple[str, ...]) -> str:
    """What `anomaly VERB --help` prints, without blanks at the ends of lines."""
    result = CliRunner().invoke(app, [*verb, "--help"], env={"COLUMNS": str(COLUMNS)}, catch_exceptions=False)
    return "\n".join(line.rstrip() for line in result.stdout.strip().splitlines()) + "\n"


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
