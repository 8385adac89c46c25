"""The evidence graph: from images to z_hat, x_hat, terms and maps, as one module that can be exported as it is.

It knows nothing of devices, precision or batches; `torch_engine` does. What is computed never depends on values.
Shapes: x (b, c, size, size) in [-1, 1]; z_hat (b, latent_dim); x_hat as x; terms (b,) each; maps (b, num_maps, size,
size).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from anomaly.config import Loss, Method, Recipe, SearchConfig, default_feature_layer
from anomaly.networks import AuxiliaryEvidence, Networks
from anomaly.scoring.maps import auxiliary_maps, layer_maps
from anomaly.scoring.terms import critic, cross_entropy, izi_f, latent_norm, reconstruction_terms, saturating

VERDICTS = {"cross_entropy": cross_entropy, "saturating": saturating, "critic": critic}
"""D's output as a term, by the term's name."""

Features = dict[str, Tensor]


class Observation(NamedTuple):
    """See the module's shapes; `maps` is None unless requested."""

    z_hat: Tensor
    x_hat: Tensor
    terms: dict[str, Tensor]
    maps: Tensor | None


class EvidenceGraph(nn.Module):
    """Networks in evaluation mode, and the terms that the recipe defines."""

    def __init__(self, networks: Networks, recipe: Recipe) -> None:
        super().__init__()
        self.networks = networks
        self.verdict = verdict_name(recipe.training.loss, recipe.search)
        self.has_izi_f = recipe.training.method is Method.F_ANOGAN
        self.feature_layer = recipe.score.feature_layer or default_feature_layer(networks.plan)

    def forward(self, x: Tensor, z: Tensor | None = None, *, with_maps: bool = False) -> Observation:
        """The evidence of images, at latents z (b, latent_dim) or, without, at E(x)."""
        z_hat = self.networks.encode(x) if z is None else z
        x_hat = self.networks.G(z_hat)
        real, fake, verdict = self._judge(x, x_hat, z_hat)
        auxiliaries: dict[str, AuxiliaryEvidence] = {a.name: a(x) for a in self.networks.all_auxiliaries()}
        terms = reconstruction_terms(x, x_hat, real, fake, feature_layer=self.feature_layer)
        terms |= verdict
        terms |= {name: evidence.term for name, evidence in auxiliaries.items()}
        terms["latent_norm"] = latent_norm(z_hat)
        maps = None
        if with_maps:
            own = [grid for evidence in auxiliaries.values() for grid in evidence.maps]
            maps = auxiliary_maps(own, x.shape[-1]) if own else layer_maps(x, x_hat, real, fake)
        return Observation(z_hat, x_hat, terms, maps)

    def _judge(self, x: Tensor, x_hat: Tensor, z: Tensor) -> tuple[Features, Features, dict[str, Tensor]]:
        """D's and φ's features of x and of x_hat, each paired with z for a joint D, and D's output as a term, by name.

        With D_xx D's features are those of (x, x) and (x, x_hat) in it (ALAD); without any D there are φ's alone.
        """
        networks = self.networks
        phi, phi_hat = networks.phi_features(x), networks.phi_features(x_hat)
        if networks.D is None:
            return phi, phi_hat, {}
        if networks.D_xx is not None:
            real, fake = networks.D_xx(torch.cat([x, x], dim=1)), networks.D_xx(torch.cat([x, x_hat], dim=1))
            logits = networks.judge(x, z).logits
        else:
            real, fake = networks.judge(x, z), networks.judge(x_hat, z)
            logits = (real if networks.plan.joint else fake).logits
        verdict = {self.verdict: VERDICTS[self.verdict](logits)}
        features, features_hat = real.features | phi, fake.features | phi_hat
        if self.has_izi_f:
            layer = self.feature_layer or ""
            verdict["izi_f"] = izi_f(x, x_hat, features[layer], features_hat[layer])
        return features, features_hat, verdict


class FlatEvidence(nn.Module):
    """The evidence as ONNX has it: z_hat, x_hat, the terms (b, num_terms) in the order of their names, and maps."""

    def __init__(self, evidence: EvidenceGraph, terms: Sequence[str]) -> None:
        super().__init__()
        self.evidence = evidence
        self.terms = tuple(terms)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """See the class."""
        seen = self.evidence(x, with_maps=True)
        return seen.z_hat, seen.x_hat, torch.stack([seen.terms[name] for name in self.terms], dim=1), seen.maps


def verdict_name(loss: Loss, search: SearchConfig | None) -> str:
    """The name of the term that D's output gives."""
    if loss.has_critic:
        return "critic"
    return "saturating" if search is not None and search.objective == "saturating" else "cross_entropy"
