"""What the layers are called whose features are matched: D's and φ's. A bundle's terms are named after them."""

from anomaly.config.choices import Architecture
from anomaly.config.recipe import NetworkPlan

LENET_LAYERS = ("C1", "S2", "C3", "S4", "C5", "F6")
LENET_MAP_LAYERS = ("C1", "S2", "C3", "S4")
PHI_LAYERS = ("phi_4", "phi_8", "phi_16")
"""φ's maps at 1/4, 1/8 and 1/16 of the side."""
_DEFAULT_PHI_LAYER = "phi_8"


def convolution_names(plan: NetworkPlan) -> list[str]:
    """conv1, conv2, … of a DCGAN: each halves the side, down to 4 × 4."""
    return [f"conv{level + 1}" for level in range(plan.size.bit_length() - 3)]


def hidden_names(plan: NetworkPlan) -> list[str]:
    """hidden1, hidden2, … of an MLP, in D's order."""
    return [f"hidden{level + 1}" for level in range(len(plan.hidden))]


def feature_names(plan: NetworkPlan) -> list[str]:
    """The layers whose features are compared, in order: of D_xx where there is one, else of D; then φ's."""
    return _discriminator_names(plan) + _phi_names(plan)


def map_names(plan: NetworkPlan) -> list[str]:
    """The layers of `feature_names` whose features are maps, and so show where."""
    match plan.architecture:
        case Architecture.DCGAN:
            return feature_names(plan)
        case Architecture.MLP:
            return _phi_names(plan)
        case Architecture.LENET:
            return [*LENET_MAP_LAYERS, *_phi_names(plan)]


def default_feature_layer(plan: NetworkPlan) -> str | None:
    """φ's at 1/8; without φ the last layer of D with maps, before z comes in; the last of all where there are none."""
    if plan.phi:
        return _DEFAULT_PHI_LAYER
    before = [name for name in map_names(plan) if name != "joint"] or feature_names(plan)
    return before[-1] if before else None


def sees_latent(plan: NetworkPlan, layer: str) -> bool:
    """Whether the features of a layer depend on z, too: in a joint D those from where z comes in."""
    if not plan.joint or plan.cycle_discriminators or layer in PHI_LAYERS:  # D_xx, whose features ALAD has, sees no z
        return False
    return plan.architecture is Architecture.MLP or layer == "joint"


def _discriminator_names(plan: NetworkPlan) -> list[str]:
    if not plan.discriminator:
        return []
    match plan.architecture:
        case Architecture.DCGAN:
            joint = plan.joint and not plan.cycle_discriminators
            return [*convolution_names(plan), "joint"] if joint else convolution_names(plan)
        case Architecture.MLP:
            return hidden_names(plan)
        case Architecture.LENET:
            return list(LENET_LAYERS)


def _phi_names(plan: NetworkPlan) -> list[str]:
    return list(PHI_LAYERS) if plan.phi else []
