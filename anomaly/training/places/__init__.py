"""What the method `features` learns: a whitening, a memory of normal places, a discriminator of them."""

from anomaly.training.places.fit import Extract, PlacesTrained, fit_places

__all__ = ["Extract", "PlacesTrained", "fit_places"]
