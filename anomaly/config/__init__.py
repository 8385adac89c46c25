"""What a user may choose, and the defaults that work.

A `Recipe` has a section for each model in `sections`. A TOML file, `--set SECTION.FIELD=VALUE` and Python all make one;
the manifest of a bundle stores it as it was resolved. What follows from the images is found in `anomaly.recipes`.
Unknown fields are refused, so that a manifest of a later version fails loudly.
"""

from anomaly.config.choices import Architecture, Loss, Method, Place, Precision, Prior, Resize
from anomaly.config.layers import default_feature_layer, feature_names, map_names, sees_latent
from anomaly.config.recipe import NetworkPlan, Recipe
from anomaly.config.sections import (
    MAX_REMEMBERED,
    AuxiliaryConfig,
    Config,
    FeaturesConfig,
    NetworkConfig,
    PreprocessConfig,
    ScoreConfig,
    SearchConfig,
    TrainingConfig,
)

__all__ = [
    "MAX_REMEMBERED",
    "Architecture",
    "AuxiliaryConfig",
    "Config",
    "FeaturesConfig",
    "Loss",
    "Method",
    "NetworkConfig",
    "NetworkPlan",
    "Place",
    "Precision",
    "PreprocessConfig",
    "Prior",
    "Recipe",
    "Resize",
    "ScoreConfig",
    "SearchConfig",
    "TrainingConfig",
    "default_feature_layer",
    "feature_names",
    "map_names",
    "sees_latent",
]
