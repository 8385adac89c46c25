"""Writes the folder: model, programs, reader, goldens. Its own program checks it before it takes its place.

The graph itself is made in `anomaly.inference.onnx_export`.
"""

import io
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

import numpy as np

from anomaly.bundle import Bundle, Manifest, check_outside_versions
from anomaly.config.places import NOTICE, REFERENCE
from anomaly.counted import counted
from anomaly.errors import ExportError, UsageError
from anomaly.export.copies import copied_files
from anomaly.export.readme import readme_of
from anomaly.export.runtimes import Runtime
from anomaly.extras import require
from anomaly.files import storing, write_atomically
from anomaly.inference import load_detector
from anomaly.inference.onnx_export import deployed_onnx

TOLERANCE = 1e-4
"""What an exported score may differ by: of it and of the calibration scores' deviation together."""

PROGRAMS = Path(__file__).with_name("programs")
_PREDICT, _MODEL, _CHECK, _REFERENCE = "predict.py", "model.py", "check.py", "reference.npy"


@dataclass(frozen=True)
class Exported:
    """The folder, the bytes of its files, and what its check said."""

    folder: Path
    num_bytes: int
    checked: str


def export_bundle(model: str | Path, out: str | Path, runtime: Runtime) -> Exported:
    """Write MODEL as the folder `out`, which must not exist. It appears whole, after its goldens scored as they should.

    Raises:
        UsageError: `out` exists, a library is missing, or the bundle cannot be exported (see `deployed_onnx`).
        BundleError: the bundle cannot be used.  ExportError: the exported model scores differently.
        StorageError: the folder cannot be written.
    """
    out = Path(out)
    if out.exists() or out.is_symlink():
        raise UsageError(f"{out} exists; give --out a folder that does not, or remove that one")
    check_outside_versions(out)
    require(f"exporting to {runtime}", runtime.value, runtime.library)
    bundle = load_detector(model, device="cpu").bundle
    graph = deployed_onnx(bundle)
    with storing("an exported model", out.parent, instead="choose another folder"):
        out.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".new-", dir=out.parent))
        try:
            for name, data in _files(bundle, runtime).items():
                (beside / name).parent.mkdir(parents=True, exist_ok=True)
                write_atomically(beside / name, data)
            _write_model(graph, beside, runtime)
            checked = _check(beside, bundle.manifest)
            num_bytes = sum(file.stat().st_size for file in beside.rglob("*") if file.is_file())
            beside.chmod(0o755)
            beside.rename(out)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return Exported(out, num_bytes, checked)


def _files(bundle: Bundle, runtime: Runtime) -> dict[str, bytes]:
    """Everything but the model, by paths in the folder."""
    preprocess = bundle.manifest.recipe.preprocess.model_dump(mode="json")
    sizes = bundle.manifest.data.calibration_sizes
    about = {
        "model": bundle.name,
        "version": bundle.version,
        "digest": bundle.digest,
        "preprocess": preprocess,
        "terms": bundle.manifest.terms,
        "calibration_sizes": None if sizes is None else sizes.model_dump(mode="json"),
    }
    needed = ("numpy>=2.0", "pillow>=11.0", f"{runtime.library}>={version(runtime.library)}")
    return {
        **copied_files(PROGRAMS / _PREDICT, PROGRAMS / _MODEL),
        **{name: (PROGRAMS / name).read_bytes() for name in (_PREDICT, _MODEL, _CHECK)},
        "model.json": (json.dumps(about, indent=2) + "\n").encode(),
        "golden.npz": _goldens(bundle),
        "requirements.txt": "".join(f"{line}\n" for line in needed).encode(),
        **({"NOTICE": f"{NOTICE}\n".encode()} if bundle.manifest.recipe.has_pretrained else {}),
        **({} if REFERENCE not in bundle.contents.weights else {_REFERENCE: _reference(bundle)}),
        "README.md": readme_of(bundle, runtime, TOLERANCE).encode(),
        "LICENSE": (distribution("anomaly").read_text("licenses/LICENSE") or "").encode(),
    }


def _reference(bundle: Bundle) -> bytes:
    file = io.BytesIO()
    np.save(file, bundle.contents.weights[REFERENCE])
    return file.getvalue()


def _goldens(bundle: Bundle) -> bytes:
    """The bundle's golden pixels and scores, and how far each score may be from them."""
    golden, calibration = bundle.contents.golden, bundle.contents.calibration
    file = io.BytesIO()
    allowed = TOLERANCE * (np.abs(golden.scores) + calibration.scores.std())
    np.savez(file, pixels=golden.pixels, scores=golden.scores, allowed=allowed)
    return file.getvalue()


def _write_model(graph: bytes, folder: Path, runtime: Runtime) -> None:
    """By OpenVINO's own reader of ONNX, because its `convert_model` brings telemetry."""
    if runtime is Runtime.ONNX:
        write_atomically(folder / runtime.file, graph)
        return
    openvino: Any = import_module(runtime.library)
    model = openvino.Core().read_model(io.BytesIO(graph))
    try:
        openvino.save_model(model, folder / runtime.file, compress_to_fp16=False)
    except RuntimeError as error:  # it does not tell which error of the system it met
        raise OSError(f"OpenVINO could not write its files ({error}), as where the disk is full") from error


def _check(folder: Path, manifest: Manifest) -> str:
    """The folder's own program scores the goldens, by the copies and the runtime that a user will have."""
    command = [sys.executable, "-B", _CHECK]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ExportError(
            f"the exported model does not score as the bundle does, so it was not kept: "
            f"{(done.stdout + done.stderr).strip()}. This version of the runtime may compute wrongly: try another. Or "
            f"rounding counts in the scores, as where a model has hardly learnt (here {manifest.steps_done}, "
            f"{counted(manifest.data.num_select, 'image')} to select): train longer, on more images"
        )
    return done.stdout.strip()
