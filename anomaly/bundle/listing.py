"""What `anomaly models list` says of a bundle, by two of its files: no sum is checked and no network is made."""

import json
from dataclasses import dataclass

from safetensors import SafetensorError, safe_open

from anomaly.bundle.layout import CALIBRATION, MANIFEST, BundleRef
from anomaly.calibration import Calibration


@dataclass(frozen=True)
class BundleFacts:
    """When it was made, and whether by `anomaly calibrate`; how many images calibrate; the threshold for alpha."""

    created: str
    is_calibrated: bool
    num_calibrate: int
    threshold: float | None


def facts_of(ref: BundleRef, alpha: float) -> BundleFacts | None:
    """None where the files cannot be read."""
    try:
        manifest = json.loads((ref.path / MANIFEST).read_bytes())
        data = manifest["data"]
        with safe_open(ref.path / CALIBRATION, framework="numpy") as file:
            calibration = Calibration(file.get_tensor("scores"))
        return BundleFacts(
            created=str(manifest["created"]),
            is_calibrated=data["calibration_fingerprint"] != data["fingerprint"],
            num_calibrate=calibration.num_calibration,
            threshold=calibration.threshold(alpha),
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None
