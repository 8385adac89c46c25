"""A bundle as one ONNX model that stands alone: from preprocessed pixels and alpha to score, p-value, verdict, heatmap.

`anomaly export` writes it for machines without this project, so all that a score needs is inside: networks, term
statistics and calibration scores. Terms are computed in single precision, what follows from them in double.

Inputs: pixels (n, c, size, size) uint8; alpha () float64. Without G n is 1, height and width are any multiples of 16
(of 64 where maps are restored), and the heatmap is 8 times coarser. Where pictures are aligned there is the pose (2, 3)
float32 too (see `data.pose`).
Outputs: score, p_value (n,) float64; threshold () float64, NaN where alpha has none; is_anomalous (n,) bool, False
where there is no threshold; terms (n, num_terms) float64, in the order of the manifest, which stands in the model's
metadata as `terms`; heatmap (n, size, size) float32.
"""

import numpy as np
import torch
from torch import Tensor, nn

from anomaly.bundle import Bundle, Contents
from anomaly.config import Precision
from anomaly.config.places import REFERENCE
from anomaly.data.pose import AS_IT_LIES
from anomaly.errors import UsageError
from anomaly.inference.kinds import stored_networks
from anomaly.inference.tracing import traced
from anomaly.runtime import to_float
from anomaly.scoring.combine import SHARE_OF_ALL, auxiliary_columns, paper_weights
from anomaly.scoring.heatmap import NORMAL_PEAK
from anomaly.torch_settings import own_settings

OUTPUTS = ("score", "p_value", "threshold", "is_anomalous", "terms", "heatmap")


@own_settings()
def deployed_onnx(bundle: Bundle) -> bytes:
    """The model, weights included. The bundle is one whose goldens were scored (see `load_detector`).

    Raises:
        UsageError: it finds latents by search, or its networks do not compute in single precision.
    """
    check_deployable(bundle)
    evidence, shape, free = stored_networks(bundle.contents, f"the bundle {bundle.ref.path}").deployable()
    inputs = {
        "pixels": torch.zeros(shape, dtype=torch.uint8),
        "alpha": torch.tensor(0.05, dtype=torch.float64),
    }
    if REFERENCE in bundle.contents.weights:
        inputs["pose"] = torch.from_numpy(AS_IT_LIES)
    model = traced(DeployedModel(bundle.contents, evidence).eval(), inputs, OUTPUTS, free=free, fold_constants=True)
    model.metadata_props.add(key="terms", value=",".join(bundle.manifest.terms))
    serialised: bytes = model.SerializeToString(deterministic=True)
    return serialised


def check_deployable(bundle: Bundle) -> None:
    """Raises UsageError if the bundle's scores do not come from one pass in single precision."""
    recipe = bundle.manifest.recipe
    if recipe.search is not None:
        raise UsageError(
            f"{bundle.ref.path} finds latents by search, which is no fixed graph and cannot be exported. Train a model "
            "whose encoder finds them: with --set training.method=bigan, or with --set search.steps=0"
        )
    if recipe.score.precision is not Precision.FP32:
        raise UsageError(
            f"{bundle.ref.path} scores in {recipe.score.precision}, which not every machine computes alike, so the "
            "exported model would score differently. Train it with --set score.precision=fp32"
        )


class DeployedModel(nn.Module):
    """The evidence graph, and what makes decisions of it: `combine`, `MapScale` and `Calibration` as tensors."""

    mean: Tensor
    std: Tensor
    root: Tensor
    paper: Tensor
    scores: Tensor
    levels: Tensor
    thresholds: Tensor
    map_layers: Tensor
    map_peak: Tensor

    def __init__(self, contents: Contents, evidence: nn.Module) -> None:
        """`evidence` gives terms and maps, the last of its outputs."""
        super().__init__()
        recipe = contents.manifest.recipe
        self.evidence = evidence
        self.names, self.way = contents.manifest.terms, recipe.score.combine
        statistics, ascending = contents.statistics, contents.calibration.scores
        num = len(ascending)
        self.columns = auxiliary_columns(statistics.names)
        weights = paper_weights(recipe) if self.way == "paper" else {}
        # √(vᵀ C⁻¹ v) = ‖v R‖ with R Rᵀ = C⁻¹: differences of large numbers, which single precision would lose, are gone
        eigenvalues, eigenvectors = np.linalg.eigh(statistics.inverse_covariance)
        constants = {
            "mean": statistics.mean,
            "std": statistics.std,
            "root": eigenvectors * np.sqrt(np.maximum(eigenvalues, 0.0)),
            "paper": np.array([weights.get(name, 0.0) for name in self.names]),
            "scores": ascending,
            # alpha allows the K highest ranks, K the number of levels ≤ alpha (`num_allowed`)
            "levels": np.arange(1, num + 1) / (num + 1),
            "thresholds": np.concatenate([[np.nan], ascending[::-1]]),
            "map_layers": contents.map_scale.layers[:, None, None],
            "map_peak": NORMAL_PEAK / contents.map_scale.peak,
        }
        for name, constant in constants.items():
            self.register_buffer(name, torch.from_numpy(np.array(constant)))

    def forward(self, pixels: Tensor, alpha: Tensor, pose: Tensor | None = None) -> tuple[Tensor, ...]:
        """The outputs, in the order of OUTPUTS."""
        x = to_float(pixels)
        *_, found, maps = self.evidence(x) if pose is None else self.evidence(x, pose)
        terms = found.double()
        score = self._score(terms)
        num_below = (self.scores < score[:, None]).sum(dim=1).double()
        num_ranks = len(self.scores) + 1
        # torch 2.11 traces no plain index that depends on the data
        threshold = self.thresholds.index_select(0, (self.levels <= alpha).sum().reshape(1)).squeeze(0)
        heatmap = (maps / self.map_layers).mean(dim=1) * self.map_peak
        return score, (num_ranks - num_below) / num_ranks, threshold, score > threshold, terms, heatmap

    def _score(self, terms: Tensor) -> Tensor:
        if self.way == "paper":
            return (terms * self.paper).sum(dim=1)
        if self.way == "strongest-place":
            return terms[:, self.names.index("strongest_place")]
        v = (terms - self.mean) / self.std
        distance = (v @ self.root).square().sum(dim=1).sqrt()
        if self.way == "mahalanobis":
            return distance
        return v[:, self.columns].mean(dim=1) + SHARE_OF_ALL * distance
