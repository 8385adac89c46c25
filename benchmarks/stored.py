"""The networks of a bundle as they were stored, for programs that run them in other ways than a detector does."""

import numpy as np
import torch

from anomaly.bundle import Bundle
from anomaly.networks import Networks


def stored_networks(bundle: Bundle) -> Networks:
    """With the bundle's weights, in evaluation mode, without gradients."""
    networks = Networks(bundle.manifest.recipe.plan)
    networks.load_state_dict(
        {name: torch.from_numpy(np.array(array)) for name, array in bundle.contents.weights.items()}
    )
    return networks.eval().requires_grad_(False)
