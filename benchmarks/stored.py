"""The networks of a bundle as they were stored, for programs that run them in other ways than a detector does."""

from functools import partial

from anomaly.bundle import Bundle
from anomaly.inference.weights import with_weights
from anomaly.networks import Networks


def stored_networks(bundle: Bundle) -> Networks:
    """With the bundle's weights, in evaluation mode, without gradients."""
    return with_weights(partial(Networks, bundle.manifest.recipe.plan), bundle.contents, f"the bundle {bundle.name}")
