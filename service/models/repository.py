"""What there is to serve: the bundles that lie under the models folder itself.

A link that leads out of the folder is passed over, unopened, whoever made it. So is a name that is not UTF-8, which no
address and no answer could have.
"""

import logging
from pathlib import Path

from anomaly.bundle import BundleRef, list_bundles
from anomaly.files import to_text

logger = logging.getLogger(__name__)


def find_bundles(models: Path) -> list[BundleRef]:
    """Every version of every name, by name and version. The log names those whose folder cannot be read.

    Raises BundleError if `models` is not a folder, or cannot be read itself.
    """
    root = models.resolve()

    def is_served(folder: Path) -> bool:
        if folder.name != to_text(folder.name):
            logger.warning("%s is passed over: its name is not UTF-8; rename it", to_text(str(folder)))
            return False
        is_inside = folder.resolve().is_relative_to(root)
        if not is_inside:
            logger.warning("%s is passed over: it is a link that leads out of %s", folder, models)
        return is_inside

    return list_bundles(models, is_wanted=is_served, warn=logger.warning)
