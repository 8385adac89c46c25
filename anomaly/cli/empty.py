"""Empty texts on the command line, as an unset variable of a shell leaves them: refused, never "not given".

So `--groups "$GROUPS"` does not switch grouping off, and an empty DATA is not the folder at hand.
"""

from collections.abc import Sequence

import typer
from typer.core import TyperGroup

from anomaly.cli.console import usage
from anomaly.errors import UsageError


class RefusesEmpty(TyperGroup):
    """The program, whose words are looked at before any verb has them."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Ends with exit code 2 where a word, or what stands after an option's =, is empty."""
        with usage():
            check_words(args)
        return super().parse_args(ctx, args)


def check_words(words: Sequence[str]) -> None:
    """Raises UsageError, which names the option or the place of the first empty word."""
    for place, word in enumerate(words):
        option, is_joined, value = word.partition("=")
        if not word.strip():
            before = words[place - 1] if place else ""
            what = f"after {before}" if before.startswith("-") else f"as word {place + 1}"
        elif is_joined and option.startswith("--") and not value.strip():
            what = f"after {option}="
        else:
            continue
        raise UsageError(
            f"there is an empty text {what}, as where a variable of the shell is not set; set it, or leave it away, "
            "with its option if it has one"
        )
