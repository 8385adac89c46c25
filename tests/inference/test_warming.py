from pathlib import Path

import pytest
from torch import Tensor, nn

from anomaly.inference import Detector, load_detector
from anomaly.inference.torch_engine import BATCH_GRAIN
from tests.inference.engines import by_torch, engine_of


def shapes_of(detector: Detector, max_images: int) -> list[int]:
    """The batch sizes that E, or without one G, sees while the detector is warmed."""
    networks, seen = engine_of(detector)._graph.networks, list[int]()

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(len(inputs[0]))

    hook = (networks.E or networks.G).register_forward_pre_hook(note)
    detector.warm(max_images)
    hook.remove()
    return seen


@pytest.mark.parametrize(("max_images", "shapes"), [(1, [16]), (16, [16]), (17, [16, 32]), (64, [16, 32, 48, 64])])
def test_every_shape_that_a_batch_can_have_is_run(bigan_dir: Path, max_images: int, shapes: list[int]) -> None:
    assert BATCH_GRAIN == 16
    assert shapes_of(by_torch(bigan_dir), max_images) == shapes


def test_a_search_makes_few_steps_to_be_warm_and_all_of_them_afterwards(anogan_dir: Path) -> None:
    detector = load_detector(anogan_dir)
    search = engine_of(detector)._search
    assert search is not None
    assert search.steps > 4
    assert len(shapes_of(detector, 1)) <= 4
    assert engine_of(detector)._search == search
