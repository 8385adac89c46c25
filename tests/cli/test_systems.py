"""Every recipe, and every system of the lectures, by the command line: trained, verified and scored.

One of each method is evaluated too: what is evaluated depends on scores, and on whether there is a G.
"""

import json
from pathlib import Path

import pytest

import anomaly
from anomaly.config import Method
from anomaly.recipes import read_recipe, recipe_names
from tests.cli.calls import done, refused, sets

pytestmark = pytest.mark.long

ZERO = ("digits", "--normal", "0", "--device", "cpu")

SYSTEMS: dict[str, list[str]] = {
    "MLP GAN": ["mlp-gan", "preprocess.size=9", "network.hidden=[32, 16]"],
    "DCGAN": ["dcgan", "preprocess.size=16"],
    "LeNet-5": ["lenet"],
    "autoencoder": ["autoencoder"],
    "autoencoder of layers": ["autoencoder", "network.architecture=mlp", "score.combine=paper"],
    "uniform prior": ["digits", "network.prior=uniform"],
    "uniform prior, searched": ["uniform-prior"],
    "minimax": ["minimax"],
    "non-saturating": ["anogan", "training.loss=non-saturating"],
    "Wasserstein, clipped": ["wasserstein-clipped"],
    "Wasserstein, penalised": ["digits", "training.loss=wasserstein", "training.gradient_penalty=10"],
    "Wasserstein, penalised and searched": ["wasserstein-penalty"],
    "hinge": ["digits", "training.loss=hinge"],
    "hinge, searched": ["hinge"],
    "Algorithm 1": ["algorithm-1", "training.d_steps=3", "training.learning_rate=0.01"],
    "several moves of G": ["digits", "training.g_steps=2"],
    "several moves of G, searched": ["two-g-steps"],
    "AnoGAN, first form": ["anogan-cross-entropy", "score.combine=paper"],
    "AnoGAN, first form, Yeh": ["anogan-saturating", "score.combine=paper"],
    "AnoGAN, second form": ["anogan-2017", "score.feature_layer=conv1", "score.combine=paper"],
    "BiGAN": ["digits"],
    "few images": ["few-images"],
    "f-AnoGAN": ["f-anogan", "score.combine=paper"],
    "ALAD": ["alad", "score.combine=paper"],
    "ALAD of layers": ["alad", "network.architecture=mlp"],
    "surfaces": ["surfaces", "preprocess.size=16"],
    "parts": ["parts", "preprocess.size=128", "features.memory=64"],
    "large parts": ["large-parts", "preprocess.scale=1", "features.memory=64"],
    "upright objects": ["upright-objects"],
    "synthetic defects and a memory bank": [
        "digits",
        "auxiliary.synthetic_defects=true",
        "auxiliary.memory_bank=1024",
    ],
    "synthetic defects beside an autoencoder": [
        "autoencoder",
        "auxiliary.synthetic_defects=true",
        "preprocess.size=16",
    ],
    "rotation beside f-AnoGAN": ["f-anogan", "auxiliary.rotation=true"],
    "synthetic defects and rotation": [
        "digits",
        "auxiliary.synthetic_defects=true",
        "auxiliary.rotation=true",
        "score.combine=auxiliary",
    ],
    "rotation in the distance": ["digits", "auxiliary.rotation=true", "score.combine=mahalanobis"],
    "synthetic defects beside f-AnoGAN": ["f-anogan", "auxiliary.synthetic_defects=true"],
}
"""A recipe, and what is set on top of it."""
EVALUATED = ("BiGAN", "AnoGAN, first form", "f-AnoGAN", "ALAD", "autoencoder", "parts")
SEARCHES = {name for name in recipe_names() if read_recipe(name).sections.get("search")}


def test_every_recipe_that_is_shipped_is_among_them() -> None:
    assert {recipe for recipe, *_ in SYSTEMS.values()} == set(recipe_names())


def test_one_of_each_method_is_evaluated() -> None:
    methods = {
        read_recipe(SYSTEMS[name][0]).sections.get("training", {}).get("method", Method.BIGAN) for name in EVALUATED
    }
    assert methods == set(Method)


def has_maps(recipe: str, fields: list[str]) -> bool:
    """Whether G is of convolutions, whose width can be set: not where there is no G, or one of layers."""
    network, training = (read_recipe(recipe).sections.get(section, {}) for section in ("network", "training"))
    is_of_layers = "mlp" in (
        network.get("architecture"),
        *(field.removeprefix("network.architecture=") for field in fields),
    )
    return training.get("method") != "features" and not is_of_layers


@pytest.mark.parametrize("name", SYSTEMS)
def test_each_trains_into_a_bundle_that_scores(name: str, tmp_path: Path) -> None:
    recipe, *fields = SYSTEMS[name]
    if recipe in SEARCHES:
        fields = [*fields, "search.steps=2", "search.restarts=1"]
    fields = ["training.batch_size=16", "training.precision=fp32", *fields]
    if has_maps(recipe, fields):
        fields = ["network.width=4", *fields]
    model = tmp_path / "model"
    done("train", *ZERO, "--steps", "4", "--out", model, "--recipe", recipe, *sets(*fields))
    detector = anomaly.load_detector(model)
    picture = Path(__file__).parents[2] / "docs" / "examples" / "zero.png"
    scores = detector.score(picture)
    assert scores.heatmap[0].shape == (28, 28)
    assert scores.errors == [None]
    if name in EVALUATED:
        done("evaluate", model, "digits", "--normal", "0", "--sample", "40", "--out", tmp_path / "report")
        assert 0 <= json.loads((tmp_path / "report" / "metrics.json").read_text())["auroc"] <= 1


def test_an_autoencoders_decoder_begins_a_generator(tmp_path: Path) -> None:
    common: list[str | Path] = ["train", *ZERO, "--steps", "2", *sets("training.batch_size=16")]
    done(*common, *sets("network.width=4"), "--recipe", "autoencoder", "--out", tmp_path / "ae")
    begun: list[str | Path] = [*common, "--recipe", "digits", "--init-decoder", tmp_path / "ae"]
    done(*begun, *sets("network.width=4"), "--out", tmp_path / "gan")
    done("models", "verify", tmp_path / "gan")
    message = refused(*begun, *sets("network.width=8"), "--out", tmp_path / "other")
    assert "has other layers than this G" in message
