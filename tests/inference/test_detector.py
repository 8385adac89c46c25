"""The detector: whatever holds an image gives its score, and one that fails gives its reason."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pyarrow as pa
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch.nn.functional import softplus
from torch.utils.data import DataLoader, TensorDataset

from anomaly.calibration import Calibration
from anomaly.config import Resize
from anomaly.config.places import STRIDE
from anomaly.errors import UsageError
from anomaly.inference import Detector, load_detector
from anomaly.inference.latents import NUM_SLOTS, _propose
from anomaly.networks.auxiliary import SyntheticDefects
from anomaly.runtime import to_float
from anomaly.scoring.maps import auxiliary_maps
from tests.digit_images import Pixels, normals, others, write_images
from tests.inference.engines import by_torch, engine_of


@pytest.fixture(scope="module")
def detector(bigan_dir: Path) -> Detector:
    return load_detector(bigan_dir, device="cpu")


def test_paths_pictures_arrays_and_tensors_of_an_image_have_one_score(detector: Detector, tmp_path: Path) -> None:
    images = normals()[:4]
    expected = detector.score(list(images)).score
    paths = write_images(tmp_path, images)
    batch = torch.from_numpy(images)[:, None]
    for same in (
        paths,
        [str(path) for path in paths],
        [PIL.Image.fromarray(image) for image in images],
        [np.repeat(image[:, :, None], 3, axis=2) for image in images],
        batch,
        batch.repeat(1, 3, 1, 1),
        batch / 127.5 - 1,
        (batch / 127.5 - 1).to(torch.float64),
    ):
        assert_array_equal(expected, detector.score(same).score)


def test_files_of_which_one_page_was_read_are_counted(detector: Detector, tmp_path: Path) -> None:
    """Also where they lie in several chunks, beside others and beside one that cannot be read."""
    first, second = (PIL.Image.fromarray(image) for image in normals()[:2])
    first.save(tmp_path / "pages.tif", save_all=True, append_images=[second])
    first.save(tmp_path / "one.tif")
    pages, one = tmp_path / "pages.tif", tmp_path / "one.tif"
    told = "there are several pages or frames, of which only the first was read"
    scores = detector.score([one, pages, tmp_path / "none.tif", *[pages] * 600])
    assert scores.remarks == [f"601 of the images, such as {pages}: {told}"]
    assert scores.unseen == [None, told, None, *[told] * 600]
    assert scores.warnings == [None] * 603
    assert_array_equal(scores.score[0], scores.score[1])
    for others_ in ([one], [], normals()[:2, None], first):
        assert detector.score(others_).remarks == []
        assert set(detector.score(others_).unseen) <= {None}


def test_one_image_needs_no_list(detector: Detector, tmp_path: Path) -> None:
    image = normals()[0]
    (path,) = write_images(tmp_path, [image])
    for same in (image, path, str(path), PIL.Image.fromarray(image)):
        assert_array_equal(detector.score([image]).score, detector.score(same).score)


def test_floats_of_a_tensor_are_rounded_to_the_nearest_pixel(detector: Detector) -> None:
    batch = torch.from_numpy(normals()[:3])[:, None] / 127.5 - 1
    nearby = (batch + 0.4 / 127.5).clamp(-1, 1)
    assert_array_equal(detector.score(batch).score, detector.score(nearby).score)


def test_the_fields_belong_together(detector: Detector) -> None:
    scores = detector.score([*normals()[:5], *others()[:5]])
    assert scores.errors == [None] * 10
    assert scores.alpha == 0.05
    assert scores.threshold == detector.calibration.threshold(0.05)
    assert_array_equal(detector.calibration.p_values(scores.score), scores.p_value)
    assert scores.is_anomalous == [p <= 0.05 for p in scores.p_value]
    assert list(scores.terms) == detector.bundle.manifest.terms
    assert scores.x_hat is not None
    assert scores.x_hat.shape == (10, 1, 8, 8)
    assert scores.z_hat is not None
    assert scores.z_hat.shape == (10, 2)
    assert np.abs(scores.x_hat).max() <= 1


def test_alpha_moves_the_threshold_and_nothing_else(detector: Detector) -> None:
    images = list(others()[:20])
    strict, lenient = detector.score(images, alpha=0.03), detector.score(images, alpha=0.3)
    assert_array_equal(strict.score, lenient.score)
    assert_array_equal(strict.p_value, lenient.p_value)
    assert strict.threshold is not None
    assert lenient.threshold is not None
    assert strict.threshold > lenient.threshold


def test_too_few_calibration_images_for_alpha_give_no_verdict(detector: Detector) -> None:
    scores = detector.score(list(normals()[:2]), alpha=0.001)
    assert scores.threshold is None
    assert scores.is_anomalous == [None, None]
    assert np.isfinite(scores.score).all()
    assert np.isfinite(scores.p_value).all()


def test_a_score_at_the_threshold_is_not_above_it(detector: Detector) -> None:
    image = normals()[0]
    score = detector.score(image).score
    contents = replace(detector.bundle.contents, calibration=Calibration.fit(np.repeat(score, 19)))
    at_threshold = Detector(replace(detector.bundle, contents=contents), detector.engine).score(image)
    assert at_threshold.threshold == score[0]
    assert at_threshold.is_anomalous == [False]
    assert at_threshold.p_value == [1.0]


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, 2.0, float("nan"), "0.05", None])
def test_alpha_is_a_rate(detector: Detector, alpha: Any) -> None:
    with pytest.raises(UsageError, match="alpha is the false-alarm rate"):
        detector.score(normals()[0], alpha=alpha)


def test_alpha_may_be_a_number_of_numpy(detector: Detector) -> None:
    number: Any = np.float32(0.25)
    scores, same = (detector.score(list(normals()[:3]), alpha=alpha) for alpha in (number, 0.25))
    assert (scores.threshold, scores.is_anomalous) == (same.threshold, same.is_anomalous)
    assert type(scores.alpha) is float


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.zeros((2, 1, 8, 8), np.float32), r"float32 \(1, 8, 8\)"),
        (np.zeros((2, 1, 8, 9), np.uint8), r"uint8 \(1, 8, 9\)"),
        (np.zeros((2, 3, 8, 8), np.uint8), r"uint8 \(3, 8, 8\)"),
        (np.zeros((1, 8, 8), np.uint8), r"uint8 \(8, 8\)"),
        (np.zeros(3, np.uint8), "uint8"),
        ([np.zeros((1, 8, 8), np.uint8), np.zeros((1, 16, 16), np.uint8)], r"uint8 \(1, 16, 16\)"),
        (["a.png"], "str"),
    ],
)
def test_evidence_is_of_preprocessed_images_only(detector: Detector, pixels: Any, said: str) -> None:
    z_hat = np.zeros((len(pixels), 2), np.float32)
    for call in (detector.evidence, lambda pixels: detector.explain(pixels, z_hat)):
        with pytest.raises(UsageError, match=rf"uint8 and the shape \(1, 8, 8\) for this model; this is {said}"):
            call(pixels)


def test_evidence_of_whole_pictures_is_of_sides_that_preprocessing_gives(whole_places_dir: Path) -> None:
    places = load_detector(whole_places_dir, device="cpu")
    assert len(places.evidence([np.zeros((1, 32, 48), np.uint8)]).score) == 1
    with pytest.raises(UsageError, match=r"\(1, h, w\), h and w multiples of 16 for this model; this is uint8 \(1, 40"):
        places.evidence([np.zeros((1, 32, 48), np.uint8), np.zeros((1, 40, 48), np.uint8)])


def test_a_failing_image_has_a_reason_and_its_neighbours_their_scores(detector: Detector, tmp_path: Path) -> None:
    image = normals()[0]
    text = tmp_path / "text.png"
    text.write_text("this is no image")
    mixed: list[str | Path | PIL.Image.Image | Pixels] = [
        image,
        tmp_path / "missing.png",
        image,
        text,
        image[:, :, None, None],
        image,
    ]
    scores = detector.score(mixed)
    # law 2's tolerance: with AVX-512 an image rounds otherwise at another place of a batch
    assert_allclose(detector.score([image] * 3).score, scores.score[[0, 2, 5]], rtol=1e-5)
    failed = [1, 3, 4]
    assert [i for i, error in enumerate(scores.errors) if error] == failed
    assert [i for i, verdict in enumerate(scores.is_anomalous) if verdict is None] == failed
    for values in (scores.score, scores.p_value, *scores.terms.values()):
        assert_array_equal([i in failed for i in range(6)], np.isnan(values))
    assert scores.x_hat is not None
    assert scores.z_hat is not None
    for arrays in (scores.z_hat, scores.x_hat):
        assert_array_equal([i in failed for i in range(6)], np.isnan(arrays.reshape(6, -1)).all(axis=1))
    missing, unreadable, shapeless = (scores.errors[i] or "" for i in failed)
    assert missing.startswith(f"{tmp_path / 'missing.png'}: ")
    assert unreadable.startswith(f"{text}: ")
    assert shapeless.startswith("image 4: ")


def test_an_image_of_a_tensor_fails_alone(detector: Detector) -> None:
    batch = torch.from_numpy(normals()[:3])[:, None] / 127.5 - 1
    expected = detector.score(batch).score
    batch[1, 0, 0, 0] = float("nan")
    scores = detector.score(batch)
    assert_array_equal(expected[[0, 2]], scores.score[[0, 2]])
    assert scores.errors[0] is scores.errors[2] is None
    assert (scores.errors[1] or "").startswith("image 1: ")


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        (torch.zeros(2, 8, 8), r"\(2, 8, 8\)"),
        (torch.zeros(2, 8, 8, 3), r"\(2, 8, 8, 3\)"),
        (torch.zeros(2, 1, 0, 8), r"\(2, 1, 0, 8\)"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.int64), "int64"),
    ],
)
def test_a_tensor_that_is_no_batch_of_images_is_refused(detector: Detector, batch: torch.Tensor, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        detector.score(batch)


@pytest.mark.parametrize("scale", [1, 255])
def test_a_batch_of_floats_that_may_not_be_in_the_range_of_networks_is_refused(detector: Detector, scale: int) -> None:
    """Black is -1 there, so nothing below 0 is what images scaled to [0, 1] look like, or unscaled ones."""
    images = normals()[:3, None] / 255.0 * scale
    for batch in (images, images.astype(np.float16), torch.from_numpy(images)):
        with pytest.raises(UsageError, match=r"expected floats in \[-1, 1\].*uint8"):
            detector.score(batch)


def test_what_is_no_image_fails_alone(detector: Detector, tmp_path: Path) -> None:
    image = normals()[0]
    (path,) = write_images(tmp_path, [image])
    with path.open("rb") as file:
        several: list[Any] = [image, PIL.Image.new("L", (0, 0)), PIL.Image.new("RGB", (4, 0)), None, file, 7, image]
        scores = detector.score(several)
    assert_array_equal(np.isfinite(scores.score), [True, *[False] * 5, True])
    said = ["has 0 × 0 pixels", "has 4 × 0 pixels", "the type NoneType", "the type BufferedReader", "the type int"]
    for number, (reason, error) in enumerate(zip(said, scores.errors[1:-1], strict=True), 1):
        assert error is not None
        assert error.startswith(f"image {number}: ")
        assert reason in error


def test_what_are_no_images_is_refused(detector: Detector, tmp_path: Path) -> None:
    (path,) = write_images(tmp_path, [normals()[0]])
    with path.open("rb") as file:
        wrong: list[Any] = [None, 7, path.read_bytes(), file]
        for images in wrong:
            with pytest.raises(UsageError, match=f"images are of {type(images).__name__}; expected a path"):
                detector.score(images)


@pytest.mark.parametrize("of", [dict, pa.table])
def test_a_table_is_refused_with_what_to_give(detector: Detector, tmp_path: Path, of: Callable[[Any], Any]) -> None:
    """Who goes through it gets the names of its columns, each of which would be a path."""
    paths = [str(path) for path in write_images(tmp_path, normals()[:2])]
    table = of({"path": paths})
    with pytest.raises(UsageError, match=rf'images are of {type(table).__name__}; .*such as images\["path"\]'):
        detector.score(table)


def test_an_array_of_16_bits_is_told_how_it_is_read_as_a_file_is(detector: Detector, tmp_path: Path) -> None:
    wide = normals()[0].astype(np.uint16) * 257
    (error,) = detector.score([wide]).errors
    assert (
        error
        == "image 0: its array has dtype uint16; expected uint8: give PIL.Image.fromarray(array), which is read like a "
        "16-bit file"
    )
    picture = PIL.Image.fromarray(wide)
    picture.save(tmp_path / "wide.png")
    both = detector.score([picture, tmp_path / "wide.png"])
    assert both.errors == [None, None]
    assert both.score[0] == both.score[1]


@pytest.mark.parametrize("has_labels", [False, True])
def test_a_loader_of_batches_is_refused_with_what_to_give(detector: Detector, *, has_labels: bool) -> None:
    batch = torch.from_numpy(normals()[:6, None])
    labelled = TensorDataset(batch, torch.zeros(6))
    loader: Any = DataLoader(labelled if has_labels else batch, batch_size=4)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="score each batch of a DataLoader by itself"):
        detector.score(loader)
    given: Any = list(loader)
    for number, error in enumerate(detector.score([*given, normals()[0]]).errors):
        if number == 2:
            assert error is None
        else:
            assert error is not None
            assert error.startswith(f"image {number}: is of the type {'list' if has_labels else 'Tensor'}; expected")
            assert "score each batch" in error
    found = [detector.score(each[0] if has_labels else each).score for each in loader]
    assert_allclose(np.concatenate(found), detector.score(batch).score)


def test_an_array_of_paths_is_paths(detector: Detector, tmp_path: Path) -> None:
    paths = write_images(tmp_path, normals()[:3])
    expected = detector.score(paths).score
    given: list[Any] = [np.array(list(map(str, paths))), np.array(paths, dtype=object)]
    for images in given:
        assert_array_equal(detector.score(images).score, expected)
    assert_array_equal(detector.score(np.array(str(paths[0]))).score, expected[:1])


@pytest.mark.parametrize("shape", [(3, 8, 8), (8, 8, 2), (3, 8, 0), (8,), (), (1, 2, 1, 8, 8)])
def test_an_array_that_is_no_image_and_no_batch_is_refused(detector: Detector, shape: tuple[int, ...]) -> None:
    said = re.escape(f"this array of uint8 has the shape {shape}; expected one image (h, w)")
    with pytest.raises(UsageError, match=said + r".* give images \(n, h, w\) as list\(images\)"):
        detector.score(np.zeros(shape, np.uint8))
    with pytest.raises(UsageError, match="this array of <U1 has the shape"):
        detector.score(np.array([["x", "y"]]))


def test_a_batch_of_nan_alone_is_refused_as_that(detector: Detector) -> None:
    batch = np.full((2, 1, 8, 8), np.nan)
    for images in (batch, batch.astype(np.float16)):
        with pytest.raises(UsageError, match="all values of this batch are NaN"):
            detector.score(images)


def test_nothing_gives_nothing(detector: Detector) -> None:
    empty: list[Pixels] = []
    for scores in (detector.score(empty), detector.score(torch.zeros(0, 1, 8, 8))):
        assert scores.score.shape == scores.p_value.shape == (0,)
        assert (scores.is_anomalous, scores.errors, scores.heatmap) == ([], [], [])
        assert set(scores.terms) == set(detector.bundle.manifest.terms)
        assert scores.x_hat is not None
        assert scores.x_hat.shape == (0, 1, 8, 8)


@pytest.mark.parametrize("engine", ["auto", "torch"])
@pytest.mark.parametrize("model", ["bigan_dir", "anogan_dir", "patched_dir", "whole_places_dir"])
def test_an_examination_is_the_evidence_and_its_explanation(
    model: str, engine: str, request: pytest.FixtureRequest
) -> None:
    detector = load_detector(request.getfixturevalue(model), device="cpu", engine=engine)
    config = detector.preprocess
    side = config.size if config.resize is not Resize.WHOLE else 4 * STRIDE
    pixels = np.random.default_rng(0).integers(0, 256, (3, config.channels, side, side), np.uint8)
    evidence, explanation = detector.examine(pixels)
    alone = detector.evidence(pixels)
    assert_array_equal(evidence.score, alone.score)
    assert evidence.terms.keys() == alone.terms.keys()
    for name, values in alone.terms.items():
        assert_array_equal(evidence.terms[name], values, err_msg=name)
    assert_array_equal(evidence.z_hat, alone.z_hat)
    explained = detector.explain(pixels, alone.z_hat)
    assert_array_equal(explanation.x_hat, explained.x_hat)
    assert_array_equal(explanation.heatmap, explained.heatmap)


def test_nothing_examined_is_nothing(detector: Detector) -> None:
    evidence, explanation = detector.examine(np.empty((0, 1, 8, 8), np.uint8))
    assert evidence.terms.keys() == set(detector.bundle.manifest.terms)
    assert evidence.z_hat.shape == (0, detector.bundle.manifest.recipe.network.latent_dim)
    assert explanation.x_hat is not None
    assert explanation.x_hat.shape == (0, 1, 8, 8)
    assert explanation.heatmap == []


def test_heatmaps_have_the_size_of_their_images(detector: Detector) -> None:
    images: list[Pixels] = [normals()[0], np.zeros((20, 11), np.uint8), np.zeros((5, 30, 3), np.uint8)]
    maps = detector.score(images).heatmap
    assert [heatmap.shape for heatmap in maps] == [(8, 8), (20, 11), (5, 30)]
    assert all(np.isfinite(heatmap).all() for heatmap in maps)


def test_a_heatmap_points_at_the_change(detector: Detector) -> None:
    image = normals()[0].copy()
    image[1:4, 1:4] = 255 - image[1:4, 1:4]
    changed, before = detector.score([image, normals()[0]]).heatmap
    row, column = np.unravel_index((changed - before).argmax(), changed.shape)
    assert 0 <= row <= 4
    assert 0 <= column <= 4


def test_heatmaps_do_not_depend_on_the_batch(detector: Detector) -> None:
    images = list(others()[:70])
    together = detector.score(images).heatmap
    assert_allclose(detector.score(images[66]).heatmap[0], together[66], rtol=1e-5, atol=1e-6)


def test_a_failed_image_has_a_heatmap_of_nan(detector: Detector) -> None:
    good, bad = detector.score([normals()[0], "missing.png"]).heatmap
    assert np.isfinite(good).all()
    assert np.isnan(bad).all()


def test_with_synthetic_defects_heatmap_and_score_are_of_its_anomalous_places(patched_dir: Path) -> None:
    patched = by_torch(patched_dir)
    (auxiliary,) = engine_of(patched)._graph.networks.all_auxiliaries()
    assert isinstance(auxiliary, SyntheticDefects)
    bank = auxiliary.memory_bank
    assert bank is not None
    pixels = normals()[:3, None]
    evidence = patched.evidence(pixels)
    with torch.no_grad():
        judgement = auxiliary.discriminator(to_float(torch.from_numpy(pixels)))
        maps = auxiliary_maps([softplus(-judgement.logits), bank.novelty(judgement.features)], 8).numpy()
        places = bank(bank.evidence(judgement))
    assert_allclose(
        patched.explain(pixels, evidence.z_hat).heatmap, patched.bundle.contents.map_scale.heatmap(maps), rtol=1e-5
    )
    assert_allclose(evidence.terms["synthetic_defects"], places.amax(dim=(1, 2)), rtol=1e-4)


@pytest.mark.parametrize("n", [1, 7, 65])
def test_proposals_for_a_search_are_made_in_batches_of_one_size(n: int, bigan_dir: Path) -> None:
    """Kernels round by the size of their batch, and a search magnifies that beyond what law 2 allows."""
    graph = engine_of(by_torch(bigan_dir))._graph
    networks = graph.networks
    sizes: list[int] = []
    networks.encode, encode = lambda x: sizes.append(len(x)) or encode(x), networks.encode  # type: ignore[method-assign, func-returns-value]
    x = to_float(torch.from_numpy(np.resize(normals(), (n, 1, 8, 8))))
    found = _propose(graph, x)
    assert sizes == [NUM_SLOTS] * -(-n // NUM_SLOTS)
    assert_allclose(found, encode(x), rtol=1e-4, atol=1e-5)
