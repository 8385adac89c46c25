"""`anomaly keys`: API keys of the service."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from anomaly.cli.console import err, names, out, usage
from anomaly.cli.streams import has_lost_output
from anomaly.errors import UsageError

KeyFile = Annotated[Path, typer.Option(help="The file of keys, to be given to `anomaly serve --keys`.")]
KEY_FILE = Path("keys.txt")

keys_app = typer.Typer(help="Make, list and remove the API keys of `anomaly serve --keys`.", no_args_is_help=True)


@keys_app.command("add")
def keys_add(
    name: Annotated[str, typer.Argument(help="Whose key it is; the server's log calls it so.")],
    file: KeyFile = KEY_FILE,
    scope: Annotated[
        str, typer.Option(help="What it is for, comma-separated: score (ask for scores), admin (load bundles).")
    ] = "score",
    expires: Annotated[
        str, typer.Option(metavar="DAY", help="The last day on which it is accepted (UTC), such as 2027-01-31.")
    ] = "",
) -> None:
    """Make a key and print it, this once: the file keeps its hash only. A running server takes it at SIGHUP."""
    with usage():
        from service.edge.keys import add_key, remove_key

        out.print(add_key(file, name, names(scope), expires=expires), markup=False)
        if has_lost_output():
            remove_key(file, name)
            raise UsageError(f"the key could not be shown, so {file} does not keep it; give the command again")


@keys_app.command("list")
def keys_list(file: KeyFile = KEY_FILE) -> None:
    """The keys' names, what they are for, and the last day of those that expire."""
    with usage():
        from service.edge.keys import read_keys

        for key in read_keys(file):
            last = f"  {'expired, last day' if key.has_expired else 'until'} {key.expires}" if key.expires else ""
            out.print(f"{key.name}  {','.join(sorted(key.scopes))}{last}", markup=False)


@keys_app.command("remove")
def keys_remove(
    name: Annotated[str, typer.Argument(help="The key's name.")],
    file: KeyFile = KEY_FILE,
) -> None:
    """Take a key out of the file. A running server forgets it at SIGHUP."""
    with usage():
        from service.edge.keys import read_keys, remove_key

        remove_key(file, name)
        if not read_keys(file):
            err.print(
                f"that was the last key in {escape(str(file))}: from SIGHUP on, a running server accepts no key at "
                "all; one that is started needs at least one"
            )
