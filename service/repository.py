"""What there is to serve: the bundles that lie under the models folder itself.

A link that leads out of the folder is passed over: nothing outside it is ever opened, whoever made the link.
"""

import logging
from pathlib import Path

from anomaly.bundle import BundleRef, list_bundles

logger = logging.getLogger(__name__)


def find_bundles(models: Path) -> list[BundleRef]:
    """Every version of every name, by name and version. Raises BundleNotFoundError if `models` is not a folder."""
    refs = list_bundles(models)
    root = models.resolve()
    inside = [ref for ref in refs if ref.path.resolve().is_relative_to(root)]
    for ref in refs:
        if ref not in inside:
            logger.warning("%s is passed over: it is a link that leads out of %s", ref.path, models)
    return inside
