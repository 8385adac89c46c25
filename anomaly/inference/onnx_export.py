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

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from anomaly.bundle import Bundle
from anomaly.config import Precision
from anomaly.config.places import PLACE, REFERENCE
from anomaly.config.region import OUTSIDE
from anomaly.data import to_floats
from anomaly.data.pose import AS_IT_LIES
from anomaly.errors import UsageError
from anomaly.inference.graph import EvidenceGraph
from anomaly.inference.torch_engine import stored_networks, stored_places
from anomaly.inference.tracing import NUM_EXAMPLES, NUM_IMAGES, sides_to_trace, traced
from anomaly.networks import PlaceNetworks, fold_batch_norm
from anomaly.runtime import to_float
from anomaly.scoring.combine import SHARE_OF_ALL, auxiliary_columns, paper_weights
from anomaly.scoring.heatmap import NORMAL_PEAK
from anomaly.torch_settings import own_settings

_BLACK, _ONE, _GREY = (float(x) for x in to_floats(np.array([0, 1, OUTSIDE], np.uint8)))
_HALF_LEVEL = (_ONE - _BLACK) / 2
OUTPUTS = ("score", "p_value", "threshold", "is_anomalous", "terms", "heatmap")


@own_settings()
def deployed_onnx(bundle: Bundle) -> bytes:
    """The model, weights included. The bundle is one whose goldens were scored (see `load_detector`).

    Raises:
        UsageError: it finds latents by search, or its networks do not compute in single precision.
    """
    check_deployable(bundle)
    recipe = bundle.manifest.recipe
    preprocess = recipe.preprocess
    if recipe.has_generator:
        num, sides, free = NUM_EXAMPLES, (preprocess.size, preprocess.size), NUM_IMAGES
    else:
        num, (sides, free) = 1, sides_to_trace(None, recipe.stride)
    inputs = {
        "pixels": torch.zeros(num, preprocess.channels, *sides, dtype=torch.uint8),
        "alpha": torch.tensor(0.05, dtype=torch.float64),
    }
    if REFERENCE in bundle.contents.weights:
        inputs["pose"] = torch.from_numpy(AS_IT_LIES)
    model = traced(DeployedModel(bundle).eval(), inputs, OUTPUTS, free=free, fold_constants=True)
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


class _TermsAndMaps(nn.Module):
    """x → terms (n, num_terms), maps (n, num_maps, size, size)."""

    def __init__(self, evidence: EvidenceGraph, names: Sequence[str]) -> None:
        super().__init__()
        self.evidence = evidence
        self.names = tuple(names)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.evidence(x, with_maps=True)
        return torch.stack([seen.terms[name] for name in self.names], dim=1), seen.maps


class _PlacesOfPictures(nn.Module):
    """x (1, c, h, w), pose → terms (1, 1 + k), the map of the sum (1, 1, h/8, w/8); the picture is one window.

    With `has_region` places outside of it do not count, as `counted_places` has it.
    """

    def __init__(self, networks: PlaceNetworks, *, has_region: bool) -> None:
        super().__init__()
        self.networks = networks
        self.has_region = has_region

    def forward(self, x: Tensor, pose: Tensor | None = None) -> tuple[Tensor, Tensor]:
        window = torch.stack([x.new_zeros(()), x.new_ones(()) * x.shape[2]])
        maps = self.networks(x, window, torch.from_numpy(AS_IT_LIES) if pose is None else pose)
        if not self.has_region:
            return maps.amax(dim=(2, 3)), maps[:, :1]
        is_grey = (x - _GREY).abs() < _HALF_LEVEL  # not ==: runtimes round differently
        is_inside = (~is_grey).any(dim=1, keepdim=True).float()
        most = is_inside.amax(dim=(2, 3), keepdim=True)  # 0 of a picture that is grey everywhere: all its places count
        counted = max_pool2d(is_inside, PLACE) >= most
        return maps.masked_fill(~counted, -torch.inf).amax(dim=(2, 3)), maps[:, :1].masked_fill(~counted, 0)


def _evidence_of(bundle: Bundle) -> nn.Module:
    called, recipe = f"the bundle {bundle.ref.path}", bundle.manifest.recipe
    if not recipe.has_generator:
        networks = stored_places(bundle.contents, called).eval().requires_grad_(False)
        return _PlacesOfPictures(networks, has_region=recipe.preprocess.region is not None).eval()
    of_images = stored_networks(bundle.contents, called).eval().requires_grad_(False).float()
    fold_batch_norm(of_images)
    return _TermsAndMaps(EvidenceGraph(of_images, recipe), bundle.manifest.terms).eval()


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

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()
        contents, recipe = bundle.contents, bundle.manifest.recipe
        self.evidence = _evidence_of(bundle)
        self.names, self.way = bundle.manifest.terms, recipe.score.combine
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
        found, maps = self.evidence(to_float(pixels)) if pose is None else self.evidence(to_float(pixels), pose)
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
