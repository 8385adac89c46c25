"""`anomaly calibrate`: an existing model gets the ranks of new normal images, as a new version, without retraining."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from anomaly.bundle import Bundle, save
from anomaly.calibration import Calibration
from anomaly.data import PixelStore, image_keys, open_dataset
from anomaly.errors import DataError
from anomaly.inference import load_detector
from anomaly.training import now

_CHUNK = 256


@dataclass(frozen=True)
class CalibrationSummary:
    """The new version; images left out because they had made the model, and files that could not be read."""

    bundle: Bundle
    num_seen: int
    num_failed: int


def calibrate_bundle(
    model: Path,
    data: str,
    *,
    normal: Sequence[str] = (),
    device: str = "auto",
    on_reading: Callable[[int], None] = lambda total: None,
    on_image: Callable[[], None] = lambda: None,
    on_note: Callable[[str], None] = lambda note: None,
) -> CalibrationSummary:
    """Write the new version beside the old ones.

    Images that made the model are left out: calibrating on them would void the guarantee on false alarms.

    Raises:
        DataError: the data cannot be used, or no image of it is new.
        BundleError: the bundle cannot be read or written.
    """
    detector = load_detector(model, device=device)
    bundle, contents = detector.bundle, detector.bundle.contents
    dataset = open_dataset(data, normal=normal)
    for note in dataset.notes:
        on_note(note)
    samples = dataset.train_normals()
    on_reading(len(samples))
    with tempfile.TemporaryDirectory() as folder:
        store = PixelStore.build(samples, detector.preprocess, Path(folder) / "pixels.u8", on_image=on_image)
        keys = image_keys(store.pixels)
        rows = np.flatnonzero(~contents.normals.knows(keys))
        if not len(rows):
            raise DataError(
                f"all {len(keys)} normal images of {data} were used to make {bundle.name} version {bundle.version}; "
                "calibrate with normal images that it has not seen"
            )
        parts = np.array_split(rows, range(_CHUNK, len(rows), _CHUNK))
        scores = np.concatenate([detector.evidence(store.pixels[part]).score for part in parts])
        fingerprint = store.fingerprint()
        num_failed = len(store.errors)
    record = bundle.manifest.data.model_copy(
        update={"num_calibrate": len(rows), "calibration_fingerprint": fingerprint}
    )
    manifest = bundle.manifest.model_copy(update={"data": record, "created": now()})
    renewed = replace(
        contents,
        manifest=manifest,
        calibration=Calibration.fit(scores),
        normals=contents.normals.with_calibration(keys),
    )
    return CalibrationSummary(save(renewed, bundle.ref.path.resolve().parent), len(keys) - len(rows), num_failed)
