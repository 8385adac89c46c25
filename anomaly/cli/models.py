"""`anomaly models`: bundles are listed, shown, verified, upgraded."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from anomaly.cli.console import Device, Engine, Model, err, needs_torch, out, usage

models_app = typer.Typer(help="List, show, verify and upgrade bundles.", no_args_is_help=True)


@models_app.command("list")
def models_list(
    models: Annotated[Path, typer.Argument(help="The folder that holds the bundles.")] = Path("models"),
) -> None:
    """Every bundle and version, without opening them."""
    with usage():
        from anomaly.bundle import list_bundles

        refs = list_bundles(models, warn=lambda warning: err.print(f"[bold yellow]warning:[/] {escape(warning)}"))
    current = {ref.name: ref.version for ref in refs}
    for ref in refs:
        out.print(f"{escape(ref.name)}/{ref.version}{'  (current)' if current[ref.name] == ref.version else ''}")
    if not refs:
        err.print(f"no bundles under {escape(str(models))}; make one with `anomaly train`")


@models_app.command("show")
def models_show(model: Model) -> None:
    """A bundle's model card."""
    with usage():
        from anomaly.bundle import load

        bundle = load(model)
    out.print(bundle.card, markup=False)
    out.print(f"digest {bundle.digest}")


@models_app.command("verify")
def models_verify(model: Model, device: Device = "auto", engine: Engine = "auto") -> None:
    """Check a bundle's sums, schema, shapes and weights, and score its golden images again."""
    with usage():
        from anomaly.inference import load_detector

        bundle = load_detector(model, device=device, engine=engine).bundle
    out.print(f"{escape(str(bundle.ref.path))} is sound, digest {bundle.digest}")


@models_app.command("upgrade")
def models_upgrade(model: Model, device: Device = "auto") -> None:
    """Write a bundle of an older schema as a new version in today's schema; it scores as before."""
    with usage():
        needs_torch("anomaly models upgrade")
        from anomaly.pipeline.upgrade import upgrade_bundle

        bundle = upgrade_bundle(model, device=device)
    out.print(f"wrote {escape(str(bundle.ref.path))} in schema {bundle.manifest.schema_version}")
