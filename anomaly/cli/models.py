"""`anomaly models`: bundles are listed, shown, verified, upgraded."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from anomaly.cli.console import ALPHA, Device, Engine, Model, needs_torch, out, say, usage, warn
from anomaly.counted import counted

if TYPE_CHECKING:
    from anomaly.bundle import BundleRef

models_app = typer.Typer(help="List, show, verify and upgrade bundles.", no_args_is_help=True)


@models_app.command("list")
def models_list(
    models: Annotated[Path, typer.Argument(help="The folder that holds the bundles.")] = Path("models"),
) -> None:
    """Every bundle and version: when it was made, how many images calibrate, and its threshold. Nothing is verified."""
    with usage():
        from anomaly.bundle import list_bundles, wrong_level

        refs = list_bundles(models, warn=warn)
    current = {ref.name: ref.version for ref in refs}
    for ref in refs:
        mark = "  (current)" if current[ref.name] == ref.version else ""
        out.print(f"{escape(ref.name)}/{ref.version}{mark}  {escape(_facts(ref))}")
    if not refs:
        say(wrong_level(models) or f"no bundles under {models}; make one with `anomaly train`")


def _facts(ref: "BundleRef") -> str:
    """When and how it was made, and what it decides by."""
    from anomaly.bundle import facts_of

    facts = facts_of(ref, ALPHA)
    if facts is None:
        return "its manifest or calibration cannot be read: see `anomaly models verify`"
    made = f"{'calibrated' if facts.is_calibrated else 'trained'} {facts.created}"
    threshold = "no threshold" if facts.threshold is None else f"threshold {facts.threshold:.6g}"
    return (
        f"{made}, {counted(facts.num_calibrate, 'calibration image')}, {threshold} at a false-alarm rate of {ALPHA:.0%}"
    )


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
