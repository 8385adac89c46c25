"""What the method `features` learns: a whitening, a memory of normal places, a discriminator of them, restorers."""

from anomaly.training.places.aligned import find_reference
from anomaly.training.places.fit import PlacesTrained, fit_places
from anomaly.training.places.pool import Extract

__all__ = ["Extract", "PlacesTrained", "find_reference", "fit_places"]
