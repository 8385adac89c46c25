"""`anomaly models upgrade`: a bundle of an older schema as a new version in today's."""

from pathlib import Path

from anomaly.bundle import Bundle, save
from anomaly.inference import load_detector


def upgrade_bundle(model: Path, *, device: str = "auto") -> Bundle:
    """The new version, beside the old ones. The bundle's golden images are scored before it is written.

    Raises:
        BundleError: the bundle cannot be read or written.
        DeviceError: no such device.
    """
    bundle = load_detector(model, device=device).bundle
    return save(bundle.contents, bundle.ref.path.resolve().parent)
