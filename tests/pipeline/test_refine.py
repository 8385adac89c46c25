"""`anomaly refine`: a few labelled defects teach an existing model, and nothing else of it changes."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from anomaly import load_detector
from anomaly.bundle import NormalSet, load, save
from anomaly.config import PreprocessConfig, Resize
from anomaly.data import image_keys, preprocess
from anomaly.errors import DataError, DeviceError, StorageError, UsageError
from anomaly.export import Runtime, export_bundle
from anomaly.inference import Detector
from anomaly.networks.labelled_defects import LabelledDefects
from anomaly.pipeline.calibrate import calibrate_bundle
from anomaly.pipeline.enough import NO_VERDICTS
from anomaly.pipeline.evaluate import evaluate_bundle
from anomaly.pipeline.refine import RefineSummary, RefineWatch, marked_places, refine_bundle
from anomaly.pipeline.train import TrainOptions, train_bundle
from anomaly.training import refine as training_refine
from anomaly.training.places import labelled
from anomaly.training.places.labelled import SeenPlaces
from tests.bundle.copies import refuse_writing

Spoil = Callable[[NDArray[np.uint8], int, int], None]


def stripes(pixels: NDArray[np.uint8], top: int, left: int) -> None:
    pixels[top : top + 24, left : left + 24 : 3] = 60


def spots(pixels: NDArray[np.uint8], top: int, left: int) -> None:
    pixels[top : top + 24 : 6, left : left + 24 : 6] = 255


def brighter(pixels: NDArray[np.uint8], top: int, left: int) -> None:
    """Another picture, and no defect."""
    pixels += np.uint8(1 + (top + left) % 5)


def write_defects(normals: Path, to: Path, spoil: Spoil, numbers: range, masks: Path | None = None) -> None:
    """Of some normal pictures, spoilt; their masks too, called as MVTec's are."""
    to.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        with Image.open(sorted(normals.glob("*.png"))[number % 24]) as picture:
            before = np.array(picture)
        pixels, rng = before.copy(), np.random.default_rng(number)
        spoil(pixels, int(rng.integers(pixels.shape[0] - 24)), int(rng.integers(pixels.shape[1] - 24)))
        Image.fromarray(pixels).save(to / f"{number:03}.png")
        if masks is not None:
            masks.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels != before).save(masks / f"{number:03}_mask.png")


@pytest.fixture(scope="module")
def data(drawn_parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The normal pictures of the model, six striped ones to learn from with masks, and others to test on."""
    root = tmp_path_factory.mktemp("refine") / "data"
    shutil.copytree(drawn_parts, root / "train" / "good")
    write_defects(
        drawn_parts, root / "train" / "stripes", stripes, range(6), root / "ground_truth" / "train" / "stripes"
    )
    write_defects(drawn_parts, root / "test" / "stripes", stripes, range(10, 22))
    write_defects(drawn_parts, root / "test" / "spots", spots, range(30, 42))
    write_defects(drawn_parts, root / "test" / "good", brighter, range(50, 62))
    return root


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is learnt does not matter to most tests here; `refined` has them all."""
    monkeypatch.setattr(labelled, "_STEPS", 20)


@pytest.fixture(scope="module")
def refined(data: Path, whole_places_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> RefineSummary:
    model = Path(shutil.copytree(whole_places_dir, tmp_path_factory.mktemp("refined") / "m"))
    return refine_bundle(model, str(data), alpha=0.2, device="cpu")


def opened(folder: Path) -> list[NDArray[np.uint8]]:
    found = []
    for file in sorted(folder.glob("*.png")):
        with Image.open(file) as image:
            found.append(np.array(image))
    return found


def detectors(refined: RefineSummary, engine: str = "onnxruntime") -> tuple[Detector, Detector]:
    before, after = (load_detector(each.ref.path, engine=engine) for each in (refined.old, refined.bundle))
    return before, after


def test_it_is_a_new_version_whose_networks_and_sets_are_those_of_before(refined: RefineSummary) -> None:
    old, new = refined.old, refined.bundle
    assert (old.version, new.version, load(new.ref.name_directory).version) == (1, 2, 2)
    for name, array in old.contents.weights.items():
        np.testing.assert_array_equal(new.contents.weights[name], array, err_msg=name)
    assert {name.split(".")[0] for name in new.contents.weights.keys() - old.contents.weights.keys()} == {"labelled"}
    assert new.manifest.terms == [*old.manifest.terms, "labelled"]
    assert new.manifest.data.labelled == {"stripes": 6}
    assert new.manifest.data.num_calibrate == old.manifest.data.num_calibrate
    assert new.contents.history == old.contents.history
    records = old.contents.normals, new.contents.normals
    assert (records[1].sets == NormalSet.LABELLED).sum() == 6
    kept = records[1].sets != NormalSet.LABELLED
    np.testing.assert_array_equal(records[1].keys[kept], records[0].keys)
    np.testing.assert_array_equal(records[1].sets[kept], records[0].sets)


@pytest.mark.parametrize("engine", ["onnxruntime", "torch"])
def test_no_score_falls_and_defects_like_those_labelled_rise(refined: RefineSummary, data: Path, engine: str) -> None:
    before, after = detectors(refined, engine)
    pictures = {kind: opened(data / "test" / kind) for kind in ("good", "stripes", "spots")}
    old, new = ({kind: each.score(of) for kind, of in pictures.items()} for each in (before, after))
    for kind in pictures:
        gained = new[kind].terms["strongest_place"] - old[kind].terms["strongest_place"]
        assert (gained > -1e-3).all()
        assert (new[kind].terms["labelled"] >= gained - 1e-3).all()
        for term in old[kind].terms.keys() - {"strongest_place"}:
            np.testing.assert_allclose(new[kind].terms[term], old[kind].terms[term], rtol=1e-4, atol=1e-4)
    assert (new["stripes"].terms["labelled"] > 0).mean() > 0.7
    assert (new["good"].terms["labelled"] > 0).mean() < 0.4


def test_the_calibration_is_of_the_same_images_by_the_new_score(refined: RefineSummary, data: Path) -> None:
    _, after = detectors(refined)
    record, pictures = refined.bundle.contents.normals, opened(data / "train" / "good")
    keys = image_keys([preprocess(each, after.preprocess) for each in pictures])
    is_used = np.isin(keys, record.keys[record.sets == NormalSet.CALIBRATE])
    scores = after.score([each for each, used in zip(pictures, is_used, strict=True) if used]).score
    np.testing.assert_allclose(refined.bundle.contents.calibration.scores, np.sort(scores), rtol=1e-4)


def test_what_is_told_is_found_by_cross_validation(refined: RefineSummary) -> None:
    first, second, third = refined.sentences()
    assert first == "learnt from 6 labelled defects (6 stripes), 6 with a mask"
    assert second == f"without labels {refined.refined.num_before} of these are found at a false-alarm rate of 20.0%"
    assert third.startswith(f"with labels {refined.refined.num_after}, where each is judged by what the others")
    assert refined.refined.num_after is not None
    assert 0 <= refined.refined.num_after <= 6


def test_no_defect_is_judged_by_what_it_has_taught(
    whole_places_dir: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: dict[int, set[bytes]] = {}
    judged: list[tuple[set[bytes], set[bytes]]] = []

    def learn(normal: Tensor, defects: Sequence[SeenPlaces], seed: int) -> LabelledDefects:
        learnt = labelled.learn_labelled(normal, defects, seed)
        taught[id(learnt)] = {place.numpy().tobytes() for each in defects for place in each.q}
        return learnt

    def score(learnt: LabelledDefects, seen: SeenPlaces) -> float:
        judged.append((taught[id(learnt)], {place.numpy().tobytes() for place in seen.q}))
        return labelled.score_of(learnt, seen)

    monkeypatch.setattr(training_refine, "learn_labelled", learn)
    monkeypatch.setattr(training_refine, "score_of", score)
    model = Path(shutil.copytree(whole_places_dir, tmp_path / "m"))
    refine_bundle(model, str(data), alpha=0.2, device="cpu")
    everything = set().union(*taught.values())
    of_defects = [(own, places) for own, places in judged if places & everything]
    assert len(of_defects) == 6
    assert all(own.isdisjoint(places) for own, places in of_defects)


def write_manifest(path: Path, data: Path, parts: Sequence[str]) -> Path:
    """Of the normal images that trained and the six labelled defects, which show these parts; normal ones show others.

    It has no masks.
    """
    normals = [f"{file},normal,n{file.stem}" for file in sorted((data / "train" / "good").glob("*.png"))]
    files = sorted((data / "train" / "stripes").glob("*.png"))
    defects = [f"{file},anomalous,{part}" for file, part in zip(files, parts, strict=True)]
    path.write_text("\n".join(["path,label,group", *normals, *defects]))
    return path


@pytest.mark.parametrize(
    ("parts", "sets", "rounds"),
    [
        ("abcabc", ["03", "14", "25"], "3 rounds"),  # a fold each, which no fold of single pictures is
        (["a", "", "a", "", "b", ""], ["02", "1", "3", "4", "5"], "5 rounds"),
        ("aaabbb", ["012", "345"], "2 rounds"),
    ],
)
def test_no_defect_is_judged_by_what_its_part_has_taught(
    parts: Sequence[str],
    sets: list[str],
    rounds: str,
    whole_places_dir: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    numbers: dict[bytes, int] = {}  # of the defects, by their strongest places, which teach
    taught: list[set[int]] = []

    def learn(normal: Tensor, defects: Sequence[SeenPlaces], seed: int) -> LabelledDefects:
        taught.append({numbers.setdefault(each.q.numpy().tobytes(), len(numbers)) for each in defects})
        return labelled.learn_labelled(normal, defects, seed)

    monkeypatch.setattr(training_refine, "learn_labelled", learn)
    model = Path(shutil.copytree(whole_places_dir, tmp_path / "m"))
    list_csv = write_manifest(tmp_path / "list.csv", data, parts)
    said: list[str] = []
    summary = refine_bundle(model, str(list_csv), alpha=0.2, device="cpu", watch=RefineWatch(on_data=said.extend))
    everything = set(range(6))
    assert taught == [everything, *(everything - set(map(int, each)) for each in sets)]
    assert f"where each is judged by what those of other parts have taught (in {rounds})" in summary.sentences()[-1]
    assert any("its labelled defects show" in sentence for sentence in said)


def test_defects_of_one_part_cannot_judge_each_other(whole_places_dir: Path, data: Path, tmp_path: Path) -> None:
    """The part is found in the names of files here: all of 000 to 005."""
    model = Path(shutil.copytree(whole_places_dir, tmp_path / "m"))
    summary = refine_bundle(model, str(data), groups=r"^(00|\d+)", alpha=0.2, device="cpu")
    assert summary.refined.num_before is not None
    assert summary.refined.num_after is None
    assert summary.sentences()[-1].startswith("how many of them are found with labels is not known: all show one part")
    assert summary.bundle.manifest.data.labelled == {"stripes": 6}


def test_labelled_images_are_left_out_of_an_evaluation(refined: RefineSummary, data: Path, tmp_path: Path) -> None:
    """In a folder without splits, they would be test images."""
    for kind in ("good", "stripes"):
        shutil.copytree(data / "train" / kind, tmp_path / "plain" / kind)
    write_defects(data / "train" / "good", tmp_path / "plain" / "stripes", stripes, range(10, 14))
    write_defects(data / "train" / "good", tmp_path / "plain" / "good", brighter, range(70, 90))
    summary = evaluate_bundle(refined.bundle.ref.path, str(tmp_path / "plain"), tmp_path / "report", device="cpu")
    assert summary.metrics["num_by_kind"] == {"stripes": 4}
    assert summary.num_seen >= 6


def test_an_export_has_the_evidence(refined: RefineSummary, data: Path, tmp_path: Path) -> None:
    folder = export_bundle(refined.bundle.ref.path, tmp_path / "out", Runtime.ONNX).folder
    files = sorted((data / "test" / "stripes").glob("*.png"))[:4]
    command = [sys.executable, str(folder / "predict.py"), *map(str, files)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    found = load_detector(refined.bundle.ref.path).score(files)
    assert found.terms["labelled"].max() > 0
    np.testing.assert_allclose([json.loads(line)["score"] for line in lines], found.score, rtol=1e-3)


def test_it_can_be_calibrated_and_refined_anew(refined: RefineSummary, data: Path, tmp_path: Path) -> None:
    """What had been taught before, and is not in the data, is forgotten."""
    model = Path(shutil.copytree(refined.bundle.ref.name_directory, tmp_path / "m"))
    calibrated = calibrate_bundle(model, str(data / "test" / "good"), device="cpu").bundle
    assert calibrated.manifest.data.labelled == {"stripes": 6}
    fewer = Path(shutil.copytree(data, tmp_path / "fewer"))
    for file in sorted((fewer / "train" / "stripes").glob("*.png"))[2:]:
        file.unlink()
    warnings: list[str] = []
    anew = refine_bundle(model, str(fewer), device="cpu", watch=RefineWatch(on_warning=warnings.append))
    assert anew.bundle.version == 4
    assert anew.bundle.manifest.data.labelled == {"stripes": 2}
    assert (anew.bundle.contents.normals.sets == NormalSet.LABELLED).sum() == 2
    assert any("was given other images to calibrate after its training" in warning for warning in warnings)
    assert any("12 of 18 images that calibrated version 3 are not in the data" in warning for warning in warnings)
    assert any("refine version 3 again" in warning for warning in warnings)
    assert sum(each.startswith(NO_VERDICTS) for each in anew.bundle.manifest.warnings) == 1  # of 6 that calibrate


def test_images_that_calibrated_later_calibrate_again_where_they_are_in_the_data(
    whole_places_dir: Path, data: Path, tmp_path: Path
) -> None:
    """As the warning advises. With enough of them there are verdicts, and no warning that there are none is kept."""
    model = Path(shutil.copytree(whole_places_dir, tmp_path / "m"))
    assert any(each.startswith(NO_VERDICTS) for each in load(model).manifest.warnings)
    write_defects(data / "train" / "good", tmp_path / "later", brighter, range(100, 116))
    calibrate_bundle(model, str(tmp_path / "later"), device="cpu")
    own = Path(shutil.copytree(data, tmp_path / "data"))
    for file in sorted((tmp_path / "later").glob("*.png")):
        shutil.copy(file, own / "train" / "good" / f"later-{file.name}")
    warnings: list[str] = []
    new = refine_bundle(model, str(own), device="cpu", watch=RefineWatch(on_warning=warnings.append)).bundle
    assert new.contents.calibration.num_calibration == 6 + 16
    assert not any("are not in the data" in warning for warning in warnings)
    assert not any(each.startswith(NO_VERDICTS) for each in new.manifest.warnings)


def test_an_unknown_device_is_refused_before_anything_is_read(refined: RefineSummary, data: Path) -> None:
    said: list[object] = []
    with pytest.raises(DeviceError, match="unknown device 'nonsense'"):
        refine_bundle(refined.old.ref.path, str(data), device="nonsense", watch=RefineWatch(on_reading=said.append))
    assert not said


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_read(
    whole_places_dir: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the sentence of the end."""
    model = Path(shutil.copytree(whole_places_dir, tmp_path / "m"))
    contents = load(model).contents
    refuse_writing(monkeypatch, model)
    said: list[object] = []
    with pytest.raises(StorageError, match=f"^cannot write a bundle into {model}: Permission denied") as at_once:
        refine_bundle(model, str(data), device="cpu", watch=RefineWatch(on_data=said.append, on_reading=said.append))
    assert not said
    with pytest.raises(StorageError) as at_the_end:
        save(contents, model)
    assert str(at_once.value) == str(at_the_end.value)


def test_a_mask_that_cannot_be_read_is_said_and_its_picture_teaches_without(
    whole_places_dir: Path, data: Path, tmp_path: Path
) -> None:
    own = Path(shutil.copytree(data, tmp_path / "data"))
    Image.new("L", (3, 3)).save(own / "ground_truth" / "train" / "stripes" / "000_mask.png")
    warnings: list[str] = []
    model = Path(shutil.copytree(whole_places_dir, tmp_path / "m"))
    summary = refine_bundle(model, str(own), device="cpu", watch=RefineWatch(on_warning=warnings.append))
    assert summary.num_with_mask == 5
    assert [warning for warning in warnings if "000_mask.png" in warning and "without its mask" in warning]


def test_of_copies_one_with_a_mask_teaches_and_the_others_are_said(
    whole_places_dir: Path, data: Path, tmp_path: Path
) -> None:
    """Wherever the copies stand: kinds and files are read in the order of their names."""
    own = Path(shutil.copytree(data, tmp_path / "data"))
    (own / "train" / "a").mkdir()
    for number, copied in enumerate(("train/a/000.png", "train/stripes/000-copy.png", "train/stripes/!.png")):
        shutil.copy(own / "train" / "stripes" / f"{number // 2:03}.png", own / copied)
    warnings: list[str] = []
    model = Path(shutil.copytree(whole_places_dir, tmp_path / "m"))
    summary = refine_bundle(model, str(own), device="cpu", watch=RefineWatch(on_warning=warnings.append))
    assert summary.num_with_mask == 6
    assert summary.bundle.manifest.data.labelled == {"stripes": 6}
    assert not summary.unseen
    assert any(each.startswith("3 labelled defects are exact copies of others, and left out") for each in warnings)


def test_a_defect_that_made_the_model_as_normal_is_warned_of(
    whole_places_dir: Path, data: Path, tmp_path: Path
) -> None:
    own = Path(shutil.copytree(data, tmp_path / "data"))
    moved = sorted((own / "train" / "good").glob("*.png"))[0]
    moved.rename(own / "train" / "stripes" / "moved.png")
    warnings: list[str] = []
    model = Path(shutil.copytree(whole_places_dir, tmp_path / "m"))
    refine_bundle(model, str(own), device="cpu", watch=RefineWatch(on_warning=warnings.append))
    assert any("1 labelled defect is an image that made the model as normal" in warning for warning in warnings)


def test_a_labelled_defect_that_had_calibrated_calibrates_no_more(
    whole_places_dir: Path, data: Path, tmp_path: Path
) -> None:
    """Although the data have it as a normal image too: it has taught, so it may set no threshold."""
    model = Path(shutil.copytree(whole_places_dir, tmp_path / "m"))
    old = load(model)
    own = Path(shutil.copytree(data, tmp_path / "data"))
    files = sorted((own / "train" / "good").glob("*.png"))
    keys = image_keys([preprocess(each, old.manifest.recipe.preprocess) for each in opened(own / "train" / "good")])
    record = old.contents.normals
    number = int(np.flatnonzero(np.isin(keys, record.keys[record.sets == NormalSet.CALIBRATE]))[0])
    shutil.copy(files[number], own / "train" / "stripes" / "copy.png")
    warnings: list[str] = []
    new = refine_bundle(model, str(own), device="cpu", watch=RefineWatch(on_warning=warnings.append)).bundle
    num_before = old.manifest.data.num_calibrate
    assert new.manifest.data.num_calibrate == new.contents.calibration.num_calibration == num_before - 1
    assert any(f"1 of {num_before} images that calibrated version 1 are not in the data" in each for each in warnings)
    assert any("none of them calibrates or selects any more" in each for each in warnings)


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (["train/good"], "has no labelled defects"),
        (["train/good", "test"], "has no labelled defects in its training split, and nothing of a test split"),
        (["train/stripes", "test/good"], "has 0 normal images that trained m version 1; expected at least 2"),
    ],
)
def test_data_that_lack_something_are_refused(
    kept: list[str], message: str, whole_places_dir: Path, data: Path, tmp_path: Path
) -> None:
    for each in kept:
        shutil.copytree(data / each, tmp_path / "data" / each)
    model = Path(shutil.copytree(whole_places_dir, tmp_path / "m"))
    with pytest.raises(DataError, match=message):
        refine_bundle(model, str(tmp_path / "data"), device="cpu")
    assert load(model).version == 1


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        ("stripes", r"^none of the 6 labelled defects can be used; the first: .*stripes/000\.png"),
        ("good", r"^none of the 24 normal images can be used; the first: .*good"),
    ],
)
def test_it_says_which_images_cannot_be_read(
    spoilt: str, message: str, whole_places_dir: Path, data: Path, tmp_path: Path
) -> None:
    own = Path(shutil.copytree(data / "train", tmp_path / "data" / "train"))
    for file in (own / spoilt).iterdir():
        file.write_text("no image")
    with pytest.raises(DataError, match=message):
        refine_bundle(whole_places_dir, str(own.parent), device="cpu")


def test_a_model_with_a_generator_is_refused(bigan_dir: Path, data: Path) -> None:
    with pytest.raises(UsageError, match=r"compares images with what G draws.*--recipe parts"):
        refine_bundle(bigan_dir, str(data))


def test_it_records_the_libraries_that_refined_it_and_a_calibration_keeps_them(
    whole_places_dir: Path, data: Path, tmp_path: Path
) -> None:
    first, here = load(whole_places_dir).contents, load(whole_places_dir).manifest.libraries
    trained = {"python": "3.11.0", "torch": "2.0.0", "numpy": "1.26.0"}
    old = save(replace(first, manifest=first.manifest.model_copy(update={"libraries": trained})), tmp_path / "m")
    calibrated = calibrate_bundle(tmp_path / "m", str(data / "test" / "good"), device="cpu").bundle
    assert calibrated.manifest.libraries == trained
    assert "| trained with | python 3.11.0, torch 2.0.0, numpy 1.26.0 |" in calibrated.card
    refined = refine_bundle(old.ref.path, str(data), device="cpu").bundle
    assert refined.manifest.libraries == here
    assert f"| refined with | python {here['python']}, torch {here['torch']}, numpy {here['numpy']} |" in refined.card
    again = calibrate_bundle(refined.ref.path, str(data / "test" / "good"), device="cpu").bundle
    assert again.manifest.libraries == here


def test_training_never_sets_the_field(data: Path, tmp_path: Path) -> None:
    overrides = {"features": {"labelled": True}}
    options = TrainOptions(data=str(data), out=tmp_path / "m", recipe="parts", overrides=overrides)
    with pytest.raises(UsageError, match=r"features\.labelled.*anomaly refine"):
        train_bundle(options)


@pytest.mark.parametrize("resize", list(Resize))
def test_marked_places_lie_where_the_picture_shows_them(resize: Resize) -> None:
    """A mask is preprocessed as its picture is: where it is marked the picture is white."""
    mask = np.zeros((160, 96), np.bool_)
    mask[40:90, 30:50] = True
    config = PreprocessConfig(size=64, channels=3, resize=resize, scale=0.5 if resize is Resize.WHOLE else 1.0)
    white = preprocess(np.repeat(mask[..., None] * np.uint8(255), 3, axis=2), config)[0] / 255
    found = marked_places(mask, config)
    height, width = found.shape
    np.testing.assert_allclose(found, white.reshape(height, 8, width, 8).mean(axis=(1, 3)), atol=0.01)
    assert found.max() > 0.5


def test_a_defect_outside_of_the_region_teaches_nothing_and_is_not_counted(
    drawn_parts: Path, data: Path, tmp_path: Path
) -> None:
    inside = np.zeros((96, 80), np.uint8)
    inside[:, :40] = 255
    Image.fromarray(inside).save(tmp_path / "region.png")
    trained = train_bundle(
        TrainOptions(
            data=str(drawn_parts),
            out=tmp_path / "m",
            recipe="large-parts",
            overrides={"preprocess": {"scale": 1.0}, "training": {"steps": 4}, "features": {"memory": 64}},
            device="cpu",
            region=tmp_path / "region.png",
        )
    ).bundle
    own = Path(shutil.copytree(data / "train" / "good", tmp_path / "data" / "train" / "good")).parent.parent
    for kind, left in (("inside", 4), ("outside", 60)):
        pixels = opened(drawn_parts)[0].copy()  # 80 pixels wide
        pixels[20:40, left : left + 16 : 2] = 255
        mask = np.zeros(pixels.shape, np.uint8)
        mask[20:40, left : left + 16] = 255
        for image, folder, name in ((pixels, own / "train", "0.png"), (mask, own / "ground_truth/train", "0_mask.png")):
            (folder / kind).mkdir(parents=True)
            Image.fromarray(image).save(folder / kind / name)
    summary = refine_bundle(trained.ref.name_directory, str(own), alpha=0.5, device="cpu")
    said = summary.sentences()
    assert said[0] == "learnt from 1 labelled defect (1 inside), 1 with a mask"
    assert len(said) == 3  # "of these" stands right after those that taught
    assert said[-1].startswith("1 labelled defect taught nothing, because the model sees nothing of what is marked")
    assert said[-1].endswith(str(own / "train" / "outside" / "0.png"))
    assert summary.bundle.manifest.data.labelled == {"inside": 1}
    assert (summary.bundle.contents.normals.sets == NormalSet.LABELLED).sum() == 1
