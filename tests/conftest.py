"""What several packages' tests share: a hypothesis profile, and tiny trained bundles."""

import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import settings
from PIL import Image

from anomaly.config import MAX_REMEMBERED
from anomaly.config.region import encode_region
from anomaly.inference.torch_engine import StoredNetworks
from anomaly.pipeline import detectability
from anomaly.pipeline.train import TrainOptions, train_bundle
from anomaly.recipes import merged
from tests.turned_parts import draw_part

settings.register_profile("no deadline", deadline=None)  # a busy machine is no mistake
settings.load_profile("no deadline")
torch.set_num_threads(1)  # tiny networks gain nothing by two, and lose tenfold where the processors are busy

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what it leaves in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the programs under test inherit it, and Ctrl-C ends them

NUM_STEPS = 60
_TINY: dict[str, dict[str, Any]] = {
    "preprocess": {"size": 8, "channels": 1},
    "network": {"latent_dim": 2, "width": 4},
    "training": {"steps": NUM_STEPS, "batch_size": 16},
}
_DEFECTS_REMEMBERED = {"synthetic_defects": True, "memory_bank": MAX_REMEMBERED}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: at the end no process waits for another's."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session", autouse=True)
def _one_export_a_structure() -> Iterator[None]:
    """Making a graph takes seconds, and it depends on the structure of the networks only: its weights lie outside."""
    export, made = StoredNetworks.graph, dict[str, bytes]()

    def export_once(networks: StoredNetworks) -> onnx.ModelProto:
        recipe = networks.contents.manifest.recipe
        # the shapes, because some tests narrow the networks of a plan
        shapes = sorted((name, array.shape) for name, array in networks.contents.weights.items())
        decides = (recipe.plan, recipe.training.method, recipe.training.loss, recipe.score.feature_layer, shapes)
        key = "/".join(map(str, decides))
        if key not in made:
            made[key] = export(networks).SerializeToString()
        return onnx.load_from_string(made[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StoredNetworks, "graph", export_once)
        yield


@pytest.fixture(scope="session", autouse=True)
def _measured_in_a_moment() -> Iterator[None]:
    """How small a defect a bundle finds is measured for a minute, and no test but its own needs so much of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detectability, "TIME_LIMIT_S", 2.0)
        yield


@pytest.fixture(scope="session")
def bigan_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The name directory of a BiGAN bundle of the digit 0; a test that changes files copies it first."""
    return _train(tmp_path_factory.mktemp("models") / "bigan")


@pytest.fixture(scope="session")
def anogan_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for AnoGAN, with a search too short to find much."""
    search = {"start": "prior", "steps": 8, "restarts": 2}
    return _train(tmp_path_factory.mktemp("models") / "anogan", training={"method": "anogan"}, search=search)


@pytest.fixture(scope="session")
def patched_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BiGAN beside which synthetic defects are learnt, with a memory bank; scored by all terms alike."""
    return _train(
        tmp_path_factory.mktemp("models") / "patched",
        auxiliary=_DEFECTS_REMEMBERED,
        score={"combine": "mahalanobis"},
    )


@pytest.fixture(scope="session")
def bf16_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `patched_dir`, in the faster precision, and scored by the auxiliary discriminator."""
    return _train(
        tmp_path_factory.mktemp("models") / "bf16",
        auxiliary=_DEFECTS_REMEMBERED,
        score={"combine": "auxiliary", "precision": "bf16"},
    )


@pytest.fixture(scope="session")
def phi_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BiGAN that matches the features of the pretrained network, in pictures of 32 × 32."""
    return _train(
        tmp_path_factory.mktemp("models") / "phi",
        preprocess={"size": 32},
        network={"phi": True},
        training={"steps": 20},
    )


@pytest.fixture(scope="session")
def region_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BiGAN of the digit 0 whose region is the left five of eight columns."""
    region = encode_region(np.tile(np.arange(8) < 5, (8, 1)))
    return _train(tmp_path_factory.mktemp("models") / "region", preprocess={"region": region})


@pytest.fixture(scope="session")
def drawn_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 pictures of a pattern, every second one larger and not square."""
    folder, rng = tmp_path_factory.mktemp("drawn-parts"), np.random.default_rng(0)
    for number in range(24):
        y, x = np.mgrid[:64, :64] if number % 2 else np.mgrid[:96, :80]
        drawn = 120 + 60 * np.sin(x / 5) * np.cos(y / 7) + rng.normal(0, 6, x.shape)
        Image.fromarray(drawn.clip(0, 255).astype(np.uint8)).save(folder / f"{number:02}.png")
    return folder


@pytest.fixture(scope="session")
def whole_places_dir(drawn_parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without G, of pictures that keep their shapes, with a memory."""
    out = tmp_path_factory.mktemp("models") / "whole"
    return _train_places(drawn_parts, out, "large-parts", {"places": "near"}, scale=1.0)


@pytest.fixture(scope="session")
def turned_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """32 pictures of one part, which lies a little differently in each."""
    folder = tmp_path_factory.mktemp("turned-parts")
    for number in range(32):
        Image.fromarray(draw_part(number).pixels[0]).save(folder / f"{number:02}.png")
    return folder


@pytest.fixture(scope="session")
def aligned_dir(turned_parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that aligns pictures first, because it found that they lie alike."""
    out = tmp_path_factory.mktemp("models") / "aligned"
    return _train_places(turned_parts, out, "large-parts", {"discriminator": False}, scale=1.0)


def _train_places(
    data: Path, out: Path, recipe: str, features: Mapping[str, Any] = MappingProxyType({}), **preprocess: Any
) -> Path:
    brief = {"preprocess": preprocess, "training": {"steps": 20}, "features": {"memory": 64, **features}}
    train_bundle(TrainOptions(data=str(data), out=out, recipe=recipe, overrides=brief, device="cpu"))
    return out


def _train(out: Path, **sections: dict[str, Any]) -> Path:
    """On the digit 0; `sections` are fields of the recipe by section, on top of the tiny ones."""
    train_bundle(
        TrainOptions(
            data="digits",
            out=out,
            recipe="digits",
            overrides=merged(_TINY, sections),
            normal=("0",),
            device="cpu",
            command=f"anomaly train digits --normal 0 --recipe digits --out models/{out.name}",
        )
    )
    return out
