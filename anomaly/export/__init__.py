"""A bundle as a folder that scores on a machine where nothing of this project is installed."""

from anomaly.export.folder import Exported, export_bundle
from anomaly.export.runtimes import Runtime

__all__ = ["Exported", "Runtime", "export_bundle"]
