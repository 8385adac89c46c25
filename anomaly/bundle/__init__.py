"""Bundles: a trained detector as a folder of plain files, written atomically and verified when read."""

from anomaly.bundle.bundle import Bundle, check_savable, load, save, unsaved
from anomaly.bundle.contents import Contents, Golden, StoredGraph
from anomaly.bundle.detectability import DetectabilityCell, DetectabilityRecord
from anomaly.bundle.layout import (
    BundleRef,
    check_name_directory,
    check_outside_versions,
    list_bundles,
    resolve,
    wrong_level,
)
from anomaly.bundle.listing import BundleFacts, facts_of
from anomaly.bundle.manifest import SCHEMA_VERSION, DataRecord, Manifest
from anomaly.bundle.normals import NormalRecord, NormalSet, record_of

__all__ = [
    "SCHEMA_VERSION",
    "Bundle",
    "BundleFacts",
    "BundleRef",
    "Contents",
    "DataRecord",
    "DetectabilityCell",
    "DetectabilityRecord",
    "Golden",
    "Manifest",
    "NormalRecord",
    "NormalSet",
    "StoredGraph",
    "check_name_directory",
    "check_outside_versions",
    "check_savable",
    "facts_of",
    "list_bundles",
    "load",
    "record_of",
    "resolve",
    "save",
    "unsaved",
    "wrong_level",
]
