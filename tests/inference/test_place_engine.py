"""Places by strips and threads: one picture has one evidence, however it is computed."""

import copy
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from anomaly.config import FeaturesConfig, Place
from anomaly.config.places import MARGIN, REFERENCE
from anomaly.config.region import OUTSIDE
from anomaly.data import to_floats
from anomaly.data.pose import reference_of
from anomaly.inference.engine import EngineName
from anomaly.inference.place_engine import PlaceEngine, Strips
from anomaly.networks.aligned_memory import AlignedMemory
from anomaly.networks.places import CellMemory, PhiMaps, PlaceMemory, PlaceNetworks


@cache
def networks() -> PlaceNetworks:
    """Random weights: how far a place sees does not depend on them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = PlaceNetworks(FeaturesConfig(memory=8, places=Place.ANYWHERE)).eval()
        x = torch.from_numpy(to_floats(picture(128, 128)[None]))
        places = PhiMaps(made.phi, with_points=False, with_half=False)(x)[0].flatten(1).T.detach()
        made.axes.fit(places, whiten=True)
        made.memory_axes.fit(places[:, -len(made.memory_axes.centre) :], whiten=False)
        assert isinstance(made.memory, PlaceMemory)
        made.memory.places = torch.randn_like(made.memory.places)
        return made


@cache
def aligned() -> PlaceNetworks:
    """The same, but with a memory of points whose means are random; the reference is the first picture."""
    made = PlaceNetworks(FeaturesConfig(places=Place.ALIGNED, memory_grid=64)).eval()
    made.load_state_dict(networks().state_dict(), strict=False)
    assert isinstance(made.memory, AlignedMemory)
    made.memory.mean = torch.randn_like(made.memory.mean)
    made.memory.is_known = torch.ones_like(made.memory.is_known)
    made.memory.reference = torch.from_numpy(reference_of(tall(0)))
    return made


def tall(shift: int) -> NDArray[np.uint8]:
    """(3, 640, 48)."""
    rng = np.random.default_rng(7)
    smooth = gaussian_filter(rng.normal(size=(700, 48)), 4)[20 + shift : 660 + shift]
    return np.tile((128 + 60 * smooth / smooth.std()).clip(0, 255).astype(np.uint8), (3, 1, 1))


@cache
def in_cells() -> PlaceNetworks:
    """The same, but with a memory of each place, whose cells differ."""
    made = PlaceNetworks(FeaturesConfig(memory_per_place=2, places=Place.SAME)).eval()
    kept = {name: value for name, value in networks().state_dict().items() if not name.startswith("memory.")}
    made.load_state_dict(kept, strict=False)
    assert isinstance(made.memory, CellMemory)
    made.memory.places = torch.randn_like(made.memory.places)
    return made


def engine(
    threads: int = 1,
    strip_pixels: int = 2**30,
    made: PlaceNetworks | None = None,
    strip_columns: int = Strips().columns,
) -> PlaceEngine:
    used = made or networks()

    @torch.no_grad()
    def run(pixels: NDArray[np.uint8], *at: NDArray[np.float32]) -> NDArray[np.float32]:
        given = map(torch.from_numpy, (to_floats(pixels[None]), *at))
        maps: NDArray[np.float32] = used(*given)[0].numpy()
        return maps

    reference = used.state_dict().get(REFERENCE)
    return PlaceEngine(
        EngineName.TORCH,
        used.evidence_names,
        run,
        run,
        threads,
        Strips(strip_pixels, rows=16, columns=strip_columns),
        reference=None if reference is None else reference.numpy(),
    )


def picture(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng((height, width)).integers(0, 256, (3, height, width), np.uint8)


@pytest.mark.parametrize("strip_rows", [16, 48, 160])
def test_strips_of_any_rows_give_the_maps_of_one_pass(strip_rows: int) -> None:
    image = picture(640, 32)
    _, (whole,) = engine().explain([image], np.empty((1, 0), np.float32))
    _, (strips,) = engine(strip_pixels=(strip_rows + 416) * 32).explain([image], np.empty((1, 0), np.float32))
    assert whole.std() > 0.1
    np.testing.assert_allclose(strips, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("strip_rows", [16, 160])
def test_strips_of_aligned_pictures_give_the_maps_of_one_pass(strip_rows: int) -> None:
    image = tall(3)
    _, (whole,) = engine(made=aligned()).explain([image], np.empty((1, 0), np.float32))
    strips = engine(strip_pixels=(strip_rows + 416) * 48, made=aligned())
    _, (joined,) = strips.explain([image], np.empty((1, 0), np.float32))
    _, (as_it_lies,) = PlaceEngine(
        EngineName.TORCH, aligned().evidence_names, strips._run_small, strips._run_large, 1
    ).explain([image], np.empty((1, 0), np.float32))
    assert np.abs(whole - as_it_lies).max() > 0.1
    np.testing.assert_allclose(joined, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("made", [networks, in_cells])
@pytest.mark.parametrize(("height", "width"), [(32, 672), (480, 640)])
def test_a_picture_that_is_cut_into_columns_too_has_the_maps_of_one_pass(
    height: int, width: int, made: Callable[[], PlaceNetworks]
) -> None:
    image = picture(height, width)
    _, (whole,) = engine(made=made()).explain([image], np.empty((1, 0), np.float32))
    cut = engine(strip_pixels=448 * 528, made=made(), strip_columns=528)
    widths: list[int] = []
    run = cut._run_small

    def watched(pixels: NDArray[np.uint8], *at: NDArray[np.float32]) -> NDArray[np.float32]:
        widths.append(pixels.shape[2])
        return run(pixels, *at)

    cut._run_small = cut._run_large = watched
    _, (joined,) = cut.explain([image], np.empty((1, 0), np.float32))
    assert max(widths) <= 528
    np.testing.assert_allclose(joined, whole, rtol=1e-4, atol=1e-5)


def test_aligned_pictures_that_are_cut_into_columns_have_the_maps_of_one_pass() -> None:
    image = np.ascontiguousarray(tall(3).transpose(0, 2, 1))
    made = copy.deepcopy(aligned())
    assert isinstance(made.memory, AlignedMemory)
    made.memory.reference = torch.from_numpy(reference_of(tall(0).transpose(0, 2, 1)))
    _, (whole,) = engine(made=made).explain([image], np.empty((1, 0), np.float32))
    _, (joined,) = engine(made=made, strip_columns=512).explain([image], np.empty((1, 0), np.float32))
    np.testing.assert_allclose(joined, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("most", [1, 10_000, 25_000, 10**9])
def test_strips_give_each_row_once(most: int) -> None:
    strips = list(Strips(most, rows=16).of_rows(656, 32))
    assert [row for first, last, *_ in strips for row in range(first, last)] == list(range(656))
    assert all(side % 16 == 0 for strip in strips for side in strip)
    assert all(0 <= top <= first < last <= bottom <= 656 for first, last, top, bottom in strips)


@pytest.mark.parametrize(("height", "width"), [(480, 16_000), (16_000, 480), (4_000, 16_000), (4_096, 4_096)])
def test_of_a_large_picture_most_is_computed_three_times_at_most(height: int, width: int) -> None:
    strips = list(Strips().of_rows(height, width))
    assert sum(bottom - top for _, _, top, bottom in strips) <= 3 * height
    assert max(bottom - top for _, _, top, bottom in strips) * width <= max(Strips().pixels, 3 * MARGIN * width)


def test_pictures_of_several_shapes_by_several_threads_have_the_terms_that_they_have_alone() -> None:
    images = [picture(32, 48), picture(64, 32), picture(48, 48), picture(32, 48)[:, ::-1].copy()]
    terms, z_hat = engine(threads=3).observe(images)
    assert z_hat.shape == (4, 0)
    for row, image in enumerate(images):
        alone, _ = engine().observe(image[None])
        for name, values in terms.items():
            assert values[row] == pytest.approx(alone[name][0], rel=1e-6), name
    _, maps = engine(threads=3).explain(images, z_hat)
    np.testing.assert_allclose([each.max() for each in maps], terms["strongest_place"], rtol=1e-6)
    assert [each.shape for each in maps] == [(1, 4, 6), (1, 8, 4), (1, 6, 6), (1, 4, 6)]


def test_places_outside_of_the_region_do_not_count() -> None:
    image = picture(64, 96)
    image[:, :, 36:] = OUTSIDE  # four columns of places and a half are inside
    plain, bounded = engine(), engine()
    bounded._has_region = True
    no_latents = np.empty((1, 0), np.float32)
    (seen,), (of_all,) = bounded.explain([image], no_latents)[1], plain.explain([image], no_latents)[1]
    np.testing.assert_array_equal(seen[:, :, :5], of_all[:, :, :5])
    assert not seen[:, :, 5:].any()
    assert of_all[:, :, 5:].any()
    terms, _ = bounded.observe([image])
    assert terms["strongest_place"][0] == seen[:, :, :5].max()
    grey = np.full_like(image, OUTSIDE)  # no signal, say: it is no empty picture
    assert bounded.observe([grey])[0] == plain.observe([grey])[0]


def test_terms_and_heatmap_of_a_picture_cost_one_pass() -> None:
    passes = 0
    counting = engine()
    run = counting._run_small

    def counted(pixels: NDArray[np.uint8], *at: NDArray[np.float32]) -> NDArray[np.float32]:
        nonlocal passes
        passes += 1
        return run(pixels, *at)

    counting._run_small = counted
    terms, z_hat, (x_hat, maps) = counting.examine([picture(32, 48), picture(64, 32)])
    assert passes == 2
    assert z_hat.shape == (2, 0)
    assert x_hat is None
    np.testing.assert_array_equal([each.max() for each in maps], terms["strongest_place"])
