"""What there is to serve: the bundles that lie under the models folder itself.

A link that leads out of the folder is passed over, unopened, whoever made it.
"""

import logging
from pathlib import Path

from anomaly.bundle import BundleRef, list_bundles

logger = logging.getLogger(__name__)


def find_bundles(models: Path) -> list[BundleRef]:
    """Every version of every name, by name and version. Raises BundleNotFoundError if `models` is not a folder."""
    root = models.resolve()

    def lies_inside(folder: Path) -> bool:
        is_inside = folder.resolve().is_relative_to(root)
        if not is_inside:
            logger.warning("%s is passed over: it is a link that leads out of %s", folder, models)
        return is_inside

    return list_bundles(models, is_wanted=lies_inside)
