"""`anomaly export`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from anomaly.cli.console import Model, err, needs_torch, out, usage


def export(
    model: Model,
    *,
    format_: Annotated[
        str, typer.Option("--format", help="What runs it: onnx (ONNX Runtime) or openvino (OpenVINO).")
    ] = "onnx",
    out_: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to make; it must not exist.")],
) -> None:
    """Write a model as a folder that scores images on a machine without this program: predict.py and what it needs."""
    with usage():
        needs_torch("anomaly export")
        from anomaly.export import Runtime, export_bundle

        with err.status("exporting"):
            exported = export_bundle(model, out_, Runtime(format_))
    out.print(f"wrote {escape(str(exported.folder))}, {exported.num_bytes / 1e6:.1f} MB. {exported.checked}")
    program = escape(shlex.quote(str(exported.folder / "predict.py")))
    out.print(f"`python {program} IMAGE_OR_FOLDER` scores; README.md says the rest")
