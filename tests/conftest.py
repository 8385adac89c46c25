"""What several packages' tests share: a hypothesis profile, and tiny trained bundles."""

import hashlib
import signal
from collections.abc import Callable, Iterator
from functools import partial, partialmethod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import settings
from PIL import Image

from anomaly.config import MAX_REMEMBERED
from anomaly.config.region import encode_region
from anomaly.files import write_atomically
from anomaly.inference import phi_features, torch_places
from anomaly.inference.torch_engine import StoredNetworks
from anomaly.inference.torch_places import StoredPlaces
from anomaly.pipeline import detectability
from anomaly.pipeline.train import TrainOptions, train_bundle
from anomaly.recipes import merged
from tests.shared import made_once, shared_folder
from tests.turned_parts import draw_part

settings.register_profile("no deadline", deadline=None)  # a busy machine is no mistake
settings.load_profile("no deadline")
torch.set_num_threads(1)  # tiny networks gain nothing by two, and lose tenfold where the processors are busy

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what it leaves in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the programs under test inherit it, and Ctrl-C ends them

Stored = StoredNetworks | StoredPlaces
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
def _one_export_a_structure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Making a graph takes seconds, and it depends on the structure of the networks only: its weights lie outside."""
    folder = shared_folder(tmp_path_factory)
    phi_model_once = partial(_phi_exported_once, torch_places.phi_model, folder)
    with pytest.MonkeyPatch.context() as patch:
        for stored in (StoredNetworks, StoredPlaces):
            patch.setattr(stored, "graph", partialmethod(_exported_once, stored.graph, folder))
        for module in (torch_places, phi_features):
            patch.setattr(module, "phi_model", phi_model_once)
        yield


def _exported_once(stored: Stored, export: Callable[[Stored], onnx.ModelProto], folder: Path) -> onnx.ModelProto:
    recipe = stored.contents.manifest.recipe
    # the shapes, because some tests narrow the networks of a plan
    shapes = sorted((name, array.shape) for name, array in stored.contents.weights.items())
    of_networks = recipe.plan if recipe.has_generator else (recipe.features, recipe.preprocess.channels, recipe.stride)
    sides = recipe.preprocess.side
    decides = (of_networks, sides, recipe.training.method, recipe.training.loss, recipe.score.feature_layer, shapes)
    return _once(folder / f"{hashlib.sha256(repr(decides).encode()).hexdigest()}.onnx", partial(export, stored))


def _phi_exported_once(
    export: Callable[..., onnx.ModelProto],
    folder: Path,
    channels: int,
    side: int | None,
    **what: bool,
) -> onnx.ModelProto:
    """φ's weights are of the package, always the same ones."""
    return _once(folder / f"phi-{channels}-{side}-{sorted(what.items())}.onnx", partial(export, channels, side, **what))


def _once(made: Path, export: Callable[[], onnx.ModelProto]) -> onnx.ModelProto:
    if not made.exists():
        write_atomically(made, export().SerializeToString())
    return onnx.load_from_string(made.read_bytes())


@pytest.fixture(scope="session", autouse=True)
def _measured_in_a_moment() -> Iterator[None]:
    """How small a defect a bundle finds is measured for a minute, and no test but its own needs so much of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detectability, "TIME_LIMIT_S", 2.0)
        yield


@pytest.fixture(scope="session")
def bigan_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The name directory of a BiGAN bundle of the digit 0; a test that changes files copies it first."""
    return made_once(tmp_path_factory, "bigan", _train)


@pytest.fixture(scope="session")
def anogan_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for AnoGAN, with a search too short to find much."""
    search = {"start": "prior", "steps": 8, "restarts": 2}
    return made_once(tmp_path_factory, "anogan", partial(_train, training={"method": "anogan"}, search=search))


@pytest.fixture(scope="session")
def patched_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BiGAN beside which synthetic defects are learnt, with a memory bank; scored by all terms alike."""
    score = {"combine": "mahalanobis"}
    return made_once(tmp_path_factory, "patched", partial(_train, auxiliary=_DEFECTS_REMEMBERED, score=score))


@pytest.fixture(scope="session")
def bf16_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `patched_dir`, in the faster precision, and scored by the auxiliary discriminator."""
    score = {"combine": "auxiliary", "precision": "bf16"}
    return made_once(tmp_path_factory, "bf16", partial(_train, auxiliary=_DEFECTS_REMEMBERED, score=score))


@pytest.fixture(scope="session")
def phi_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BiGAN that matches the features of the pretrained network, in pictures of 32 × 32."""
    train = partial(_train, preprocess={"size": 32}, network={"phi": True}, training={"steps": 20})
    return made_once(tmp_path_factory, "phi", train)


@pytest.fixture(scope="session")
def region_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BiGAN of the digit 0 whose region is the left five of eight columns."""
    region = encode_region(np.tile(np.arange(8) < 5, (8, 1)))
    return made_once(tmp_path_factory, "region", partial(_train, preprocess={"region": region}))


@pytest.fixture(scope="session")
def drawn_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 pictures of a pattern, every second one larger and not square."""

    def draw(folder: Path) -> None:
        folder.mkdir(parents=True)
        rng = np.random.default_rng(0)
        for number in range(24):
            y, x = np.mgrid[:64, :64] if number % 2 else np.mgrid[:96, :80]
            drawn = 120 + 60 * np.sin(x / 5) * np.cos(y / 7) + rng.normal(0, 6, x.shape)
            Image.fromarray(drawn.clip(0, 255).astype(np.uint8)).save(folder / f"{number:02}.png")

    return made_once(tmp_path_factory, "drawn-parts", draw)


@pytest.fixture(scope="session")
def whole_places_dir(drawn_parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without G, of pictures that keep their shapes, with a memory."""
    return made_once(tmp_path_factory, "whole", partial(_train_places, data=drawn_parts, features={"places": "near"}))


@pytest.fixture(scope="session")
def turned_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """32 pictures of one part, which lies a little differently in each."""

    def draw(folder: Path) -> None:
        folder.mkdir(parents=True)
        for number in range(32):
            Image.fromarray(draw_part(number).pixels[0]).save(folder / f"{number:02}.png")

    return made_once(tmp_path_factory, "turned-parts", draw)


@pytest.fixture(scope="session")
def aligned_dir(turned_parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that aligns pictures first, because it found that they lie alike."""
    without = {"discriminator": False}
    return made_once(tmp_path_factory, "aligned", partial(_train_places, data=turned_parts, features=without))


def _train_places(out: Path, data: Path, features: dict[str, Any]) -> None:
    sizes: dict[str, dict[str, Any]] = {"preprocess": {"scale": 1.0}, "training": {"steps": 20}}
    brief = sizes | {"features": {"memory": 64, **features}}
    train_bundle(TrainOptions(data=str(data), out=out, recipe="large-parts", overrides=brief, device="cpu"))


def _train(out: Path, **sections: dict[str, Any]) -> None:
    """On the digit 0; `sections` are fields of the recipe by section, on top of the tiny ones."""
    command = f"anomaly train digits --normal 0 --recipe digits --out models/{out.name}"
    overrides, normal = merged(_TINY, sections), ("0",)
    train_bundle(TrainOptions("digits", out, "digits", overrides, normal, device="cpu", command=command))
