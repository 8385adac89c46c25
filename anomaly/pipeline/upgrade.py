"""`anomaly models upgrade`: a bundle of an older schema as a new version in today's."""

from pathlib import Path

from anomaly.bundle import SCHEMA_VERSION, Bundle, check_savable, resolve, save
from anomaly.errors import UsageError
from anomaly.inference import EngineName, load_detector
from anomaly.inference.evidence_onnx import with_graph


def upgrade_bundle(model: str | Path, *, device: str = "auto") -> Bundle:
    """The new version, beside the old ones. The bundle's golden images are scored before it is written.

    Raises:
        UsageError: the bundle has today's schema already, a newer version stands beside it, or its folder is none for
            a model.
        BundleError: the bundle cannot be read.  StorageError: it cannot be written.
        DeviceError: no such device.
    """
    bundle = load_detector(model, device=device, engine=EngineName.TORCH).bundle
    if bundle.schema_version == SCHEMA_VERSION:
        raise UsageError(
            f"{bundle.ref.path} has schema {SCHEMA_VERSION} already, which is today's; there is nothing to upgrade"
        )
    folder = bundle.ref.name_directory
    if bundle.version != resolve(folder).version:
        raise UsageError(
            f"{bundle.ref.path} is not the current version, and would become it; upgrade {folder} instead, or copy "
            "this version into a folder of its own"
        )
    check_savable(folder)
    return save(with_graph(bundle.contents), folder)
