"""What the layers of a plan's discriminator are called. A bundle's terms are named after them, so it asks here too."""

from anomaly.config.choices import Architecture
from anomaly.config.recipe import NetworkPlan

LENET_LAYERS = ("C1", "S2", "C3", "S4", "C5", "F6")
LENET_MAP_LAYERS = ("C1", "S2", "C3", "S4")


def convolution_names(plan: NetworkPlan) -> list[str]:
    """conv1, conv2, … of a DCGAN: each halves the side, down to 4 × 4."""
    return [f"conv{level + 1}" for level in range(plan.size.bit_length() - 3)]


def hidden_names(plan: NetworkPlan) -> list[str]:
    """hidden1, hidden2, … of an MLP, in D's order."""
    return [f"hidden{level + 1}" for level in range(len(plan.hidden))]


def feature_names(plan: NetworkPlan) -> list[str]:
    """The layers whose features are compared, in order: of D_xx where there is one, else of D; none without either."""
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


def map_names(plan: NetworkPlan) -> list[str]:
    """Those of them whose features are maps, and so show where."""
    match plan.architecture:
        case Architecture.DCGAN:
            return feature_names(plan)
        case Architecture.MLP:
            return []
        case Architecture.LENET:
            return list(LENET_MAP_LAYERS)


def default_feature_layer(plan: NetworkPlan) -> str | None:
    """The last layer of D with maps as features, before z comes in; the last of all where there are no maps."""
    before = [name for name in map_names(plan) if name != "joint"] or feature_names(plan)
    return before[-1] if before else None
