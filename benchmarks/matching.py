"""What φ adds to matching D's features: `network.phi` true against false, side by side, from the same seed.

    python -m benchmarks.matching DATA --methods bigan,anogan,autoencoder,f-anogan

One line for each method and layer f: the AUROC of the Mahalanobis distance of all terms without φ's and with them, and
that of A(x) = 0.9 R(x) + 0.1 F(x), F of this layer; of spoilt normals, which may choose, and of the test images, which
may not. The *select* normals give the statistics of the terms, the *calibrate* normals are spoilt.
φ takes no part in the game. So one training serves both, and without φ's terms its score is that of `network.phi=false`
(tests/networks/test_phi.py shows that the weights are the same). An encoder that follows the game is learnt with and
without φ. A latent search is made for each layer.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray

from anomaly.config import Recipe, feature_names
from anomaly.config.layers import PHI_LAYERS
from anomaly.data import NormalSplit, PixelStore, open_dataset, split_normals
from anomaly.evaluation import auroc
from anomaly.inference.engine import Terms
from anomaly.inference.torch_engine import TorchEngine
from anomaly.scoring import TermStatistics
from anomaly.training import fit
from anomaly.training.places.spoilt import CHOOSING_KINDS, spoilt_images

CPU = torch.device("cpu")
WEIGHT = 0.1  # λ of A(x)
Pixels = NDArray[np.uint8]


def main() -> None:
    """Print the lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="an MVTec-style tree, or other data that `anomaly train` takes")
    parser.add_argument("--normal", default="", help="the classes that are normal, where there are classes")
    parser.add_argument("--methods", default="bigan,anogan,autoencoder,f-anogan")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--num-train", type=int, default=1000, help="at most so many normals of the training split")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print("| method | f | spoilt: without φ, with φ, A(x) | test: without φ, with φ, A(x) |\n|---|---|---|---|")
    with TemporaryDirectory() as folder:
        train, test, labels = _read(args, Path(folder))
        split = split_normals(len(train), seed=args.seed)
        for method in args.methods.split(","):
            for has_phi in (False, True) if method == "f-anogan" else (True,):
                _measure(_recipe(method, args, has_phi), train, split, test, labels)


def _recipe(method: str, args: argparse.Namespace, has_phi: bool) -> Recipe:
    return Recipe.model_validate(
        {
            "preprocess": {"size": args.size, "channels": 3, "resize": "stretch"},
            "network": {"width": 12, "phi": has_phi},
            "training": {"method": method, "steps": args.steps, "batch_size": 16, "seed": args.seed},
        }
        | ({"search": {"start": "encoder"}} if method == "anogan" else {})
    )


def _read(args: argparse.Namespace, folder: Path) -> tuple[Pixels, Pixels, NDArray[np.bool_]]:
    """Normals of the training split, test images, and whether these are anomalous."""
    dataset = open_dataset(args.data, normal=tuple(filter(None, args.normal.split(","))))
    rng, config = np.random.default_rng(0), _recipe("bigan", args, False).preprocess
    samples = [list(dataset.train_normals()), list(dataset.test())]
    for each, most in zip(samples, (args.num_train, 600), strict=True):
        each[:] = [each[i] for i in sorted(rng.permutation(len(each))[:most])]
    train, test = (np.array(PixelStore.build(s, config, folder / str(i)).pixels) for i, s in enumerate(samples))
    return train, test, np.array([sample.label == "anomalous" for sample in samples[1]])


def _measure(recipe: Recipe, train: Pixels, split: NormalSplit, test: Pixels, labels: NDArray[np.bool_]) -> None:
    trained = fit(train, np.array(split.train), recipe.plan, recipe.training, device=CPU)
    normals = train[split.calibrate]
    spoilt = np.stack([image for image, _ in spoilt_images(train, split.calibrate, CHOOSING_KINDS, 0)])
    judged = np.concatenate([normals, spoilt])
    is_spoilt = np.repeat([False, True], len(normals))
    names = feature_names(recipe.plan)
    layers = [name for name in names if name != "joint" and name not in PHI_LAYERS][-1:]
    layers += [name for name in names if name in PHI_LAYERS]
    seen: list[Terms] = []
    for layer in layers:
        if not seen or recipe.search is not None:
            own = recipe.model_copy(update={"score": recipe.score.model_copy(update={"feature_layer": layer})})
            engine = TorchEngine(trained.networks, own, CPU)
            first = layer
            seen = [engine.observe(pixels)[0] for pixels in (train[split.select], judged, test)]
        found = [*aurocs(seen[0], seen[1], is_spoilt, layer, first), *aurocs(seen[0], seen[2], labels, layer, first)]
        of_spoilt, of_test = (", ".join(f"{100 * value:.1f}" for value in found[i : i + 3]) for i in (0, 3))
        print(f"| {recipe.training.method} | {layer} | {of_spoilt} | {of_test} |", flush=True)


def aurocs(select: Terms, terms: Terms, labels: NDArray[np.bool_], layer: str, first: str) -> list[float]:
    """By all terms but φ's, by all, and by A(x); `first` is the layer that `feature_matching` is of."""
    of_phi = {"feature_matching" if name == first else f"feature_matching_{name}" for name in PHI_LAYERS}
    without = TermStatistics.fit({name: term for name, term in select.items() if name not in of_phi})
    f = terms["feature_matching" if layer == first else f"feature_matching_{layer}"]
    scores = (without.distance(terms), TermStatistics.fit(select).distance(terms))
    return [auroc(score, labels) for score in (*scores, (1 - WEIGHT) * terms["residual"] + WEIGHT * f)]


if __name__ == "__main__":
    main()
