"""Which recipe suits: what is learnt from, what is judged by, and which one is named."""

import re
import shlex
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from anomaly.config.region import OUTSIDE, decode_region
from anomaly.data import open_dataset
from anomaly.errors import DataError, DeviceError, UsageError
from anomaly.pipeline import trial
from anomaly.pipeline.train import TrainOptions, TrainSummary
from anomaly.pipeline.trial import Trial, TrialOptions, TrialSummary, try_recipes
from anomaly.recipes import Survey, candidates
from tests.cli.calls import done
from tests.digit_images import digits, others, write_images

BRIEF = "# A brief training. It costs nothing and reached nothing.\n[training]\nmethod = 'bigan'\nsteps = {steps}\n"
BRIEF += "batch_size = 8\n[network]\nwidth = 4\nlatent_dim = 2\n"


@pytest.fixture
def brief(tmp_path: Path) -> tuple[str, ...]:
    """Two recipes that train in a moment."""
    for steps in (2, 3):
        (tmp_path / f"{steps}.toml").write_text(BRIEF.format(steps=steps))
    return str(tmp_path / "2.toml"), str(tmp_path / "3.toml")


def tried(name: str, auroc: float | None, drawn: float = 0.5, moved: float = 0.5) -> Trial:
    return Trial(name, auroc, None, 1.0, 1.0, is_cut_short=False, drawn=drawn, moved=moved)


@pytest.mark.parametrize(("num_judged", "expected"), [(5, "a"), (20, "c"), (200, "d")])
def test_the_first_is_named_unless_a_later_one_is_clearly_better(num_judged: int, expected: str) -> None:
    """Of 5 normals one changes 20 points, of 20 five, of 200 half a point."""
    trials = (tried("a", 0.7), tried("b", None), tried("c", 0.8), tried("d", 0.82))
    best = TrialSummary(trials, 20, num_judged).best
    assert best is not None
    assert best.name == expected


def test_parts_count_and_not_their_pictures_where_they_are_known() -> None:
    """Of 5 parts one changes 20 points, however many pictures they have."""
    trials = (tried("a", 0.7), tried("c", 0.8))
    named = [TrialSummary(trials, 20, 50, num_parts).best for num_parts in (None, 50, 5)]
    assert [best and best.name for best in named] == ["c", "c", "a"]


def test_the_interval_is_over_parts(tmp_path: Path, brief: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten pictures of each part, which are alike: they tell no more than one of each."""
    write_images(tmp_path / "d", digits("train", "0")[:100])

    class Scorer:
        def score(self, pictures: list[np.ndarray]) -> SimpleNamespace:
            ten_each = np.repeat([0.0, 3.0], 10)
            return SimpleNamespace(score=np.tile(ten_each, len(pictures) // 20) + next(shifts))

    is_trained = SimpleNamespace(bundle=SimpleNamespace(manifest=SimpleNamespace(is_cut_short=False)))
    monkeypatch.setattr(trial, "train_on", lambda *args: is_trained)
    monkeypatch.setattr(trial, "load_detector", lambda *args, **more: Scorer())
    found = []
    for groups in ("", r"^(\d+)\d\."):
        shifts = iter([0.0, 1.0, 1.0] * 2)
        summary = try_recipes(TrialOptions(str(tmp_path / "d"), brief, groups=groups))
        assert summary.num_judged == 20
        found.append((summary.num_parts, summary.trials[0].auroc, summary.trials[0].interval))
    (_, auroc, of_pictures), (num_parts, same_auroc, of_parts) = found
    assert num_parts == 2
    assert auroc == same_auroc == 0.75
    assert of_pictures is not None
    assert of_parts is not None
    assert of_parts[0] < of_pictures[0] - 0.1
    assert of_parts[1] > of_pictures[1] + 0.05


@pytest.mark.parametrize(
    ("drawn", "moved", "expected"),
    [(0.9, 0.9, "later"), (0.99, 0.78, "first"), (0.68, 0.99, "first"), (0.99, 0.795, "later"), (0.7, 0.8, "first")],
)
def test_a_later_one_that_is_worse_by_one_way_of_spoiling_is_not_named(
    drawn: float, moved: float, expected: str
) -> None:
    """The first tells drawn defects at 70 % and parts at a wrong place at 80 %, by 100 normals."""
    trials = (tried("first", 0.75, 0.7, 0.8), tried("later", (drawn + moved) / 2, drawn, moved))
    best = TrialSummary(trials, 20, 100).best
    assert best is not None
    assert best.name == expected


def test_none_is_named_where_all_failed() -> None:
    assert TrialSummary((tried("b", None),), 20, 5).best is None


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        (28, {"digits", "few-images", "upright-objects"}),
        (200, {"parts", "surfaces", "digits"}),
        (1000, {"parts", "large-parts", "surfaces"}),
    ],
)
def test_two_or_three_recipes_that_fit_the_size_are_compared(side: int, expected: set[str]) -> None:
    assert set(candidates(Survey(50, side, side, has_colour=False))) == expected


def test_without_the_pretrained_network_no_recipe_that_needs_it_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("anomaly.recipes.resolve"), "is_installed", lambda name: False)
    assert candidates(Survey(50, 200, 200, has_colour=False)) == ("surfaces", "digits")


def test_learnt_and_judged_show_other_parts_and_no_test_image(
    tmp_path: Path, brief: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "d"
    write_images(root / "train" / "good", digits("train", "0")[:60])
    write_images(root / "test" / "good", digits("test", "0")[:10])
    write_images(root / "test" / "bad", others()[:10])
    learnt_from: list[set[str]] = []
    judged: list[list[str]] = []
    read = trial._pictures

    def train(dataset: object, options: TrainOptions) -> TrainSummary:
        learnt_from.append({sample.path for sample in dataset.train_normals()})  # type: ignore[attr-defined]
        raise DataError("enough")

    def pictures(samples: object, *more: object) -> object:
        judged.append([sample.path for sample in samples])  # type: ignore[attr-defined]
        return read(samples, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(trial, "train_on", train)
    monkeypatch.setattr(trial, "_pictures", pictures)
    summary = try_recipes(TrialOptions(str(root), brief, groups=r"^(\d+)\d"))
    assert [each.failure for each in summary.trials] == ["enough", "enough"]
    (names,) = judged
    assert learnt_from[0] == learnt_from[1]
    assert not any(f"{root}/test" in path for path in [*names, *learnt_from[0]])
    tens = [{Path(path).name[:-5] for path in paths} for paths in (names, learnt_from[0])]
    assert not tens[0] & tens[1]
    assert len(names) + len(learnt_from[0]) == len(open_dataset(str(root)).train_normals())


def test_each_recipe_is_judged_on_the_same_pictures_and_nothing_is_left(
    tmp_path: Path, brief: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "work"))
    (tmp_path / "work").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    names: list[str] = []
    summary = try_recipes(TrialOptions("digits", brief, ("0",), minutes=1.0), on_trial=names.append)
    assert names == list(brief)
    assert summary.num_judged == 29
    for each in summary.trials:
        assert each.failure == ""
        assert each.auroc is not None
        assert each.interval is not None
        assert each.interval[0] <= each.auroc <= each.interval[1]
        assert each.auroc == pytest.approx((each.drawn + each.moved) / 2)
    assert list((tmp_path / "work").glob("anomaly-*")) == []


def test_a_recipe_that_cannot_be_trained_here_is_told_and_the_others_go_on(brief: tuple[str, ...]) -> None:
    odd = Path(brief[1])
    odd.write_text(odd.read_text() + '[score]\nfeature_layer = "none of D"\n')
    result = done("recipes", "try", "digits", "--normal", "0", "--recipes", ",".join(brief))
    assert f"{odd} cannot be tried: " in " ".join(result.stdout.split())
    assert f"choose {brief[0]}" in " ".join(result.stdout.split())


def test_the_command_of_the_best_can_be_typed(tmp_path: Path, brief: tuple[str, ...]) -> None:
    data = tmp_path / "good plates"
    write_images(data, digits("train", "0"))
    result = done("recipes", "try", data, "--groups", r"^(\d+)\d", "--recipes", ",".join(brief))
    assert re.search(r"judged on \d+ others of \d+ parts, as they are", result.stdout)
    words = shlex.split(result.stdout.partition(": anomaly train ")[2])
    assert words[0] == str(data)
    assert words[3:] == ["--groups", r"^(\d+)\d", "--out", "models/NAME"]


def test_few_normals_and_one_recipe_are_refused(tmp_path: Path, brief: tuple[str, ...]) -> None:
    write_images(tmp_path / "few", digits("train", "0")[:12])
    with pytest.raises(DataError, match="there are 10 and 2"):
        try_recipes(TrialOptions(str(tmp_path / "few"), brief))
    with pytest.raises(UsageError, match="give at least two"):
        try_recipes(TrialOptions("digits", brief[:1], ("0",)))


def test_an_unknown_recipe_or_device_is_refused_before_anything_is_trained(brief: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="digit"):
        try_recipes(TrialOptions("digits", (brief[0], "digit"), ("0",)))
    with pytest.raises(DeviceError, match="none"):
        try_recipes(TrialOptions("digits", brief, ("0",), device="none"))


def test_grey_and_coloured_pictures_are_spoilt_together(tmp_path: Path, brief: tuple[str, ...]) -> None:
    images = [
        np.repeat(image[..., None], 3, axis=2) if i % 2 else image for i, image in enumerate(digits("train", "0"))
    ]
    write_images(tmp_path / "mixed", images[:40])
    summary = try_recipes(TrialOptions(str(tmp_path / "mixed"), brief))
    assert [each.failure for each in summary.trials] == ["", ""]


def test_with_a_region_every_recipe_gets_it_and_no_defect_is_drawn_outside(
    tmp_path: Path, brief: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path / "d", digits("train", "0")[:60])
    inside = np.zeros((8, 8), np.bool_)
    inside[2:6, 3:8] = True
    mask = tmp_path / "mask.png"
    Image.fromarray(inside).save(mask)
    regions: list[str] = []
    images: list[np.ndarray] = []

    def train(dataset: object, options: TrainOptions) -> SimpleNamespace:
        regions.append(options.overrides["preprocess"]["region"])
        return SimpleNamespace(bundle=SimpleNamespace(manifest=SimpleNamespace(is_cut_short=False)))

    class Scorer:
        def score(self, pictures: list[np.ndarray]) -> SimpleNamespace:
            images.extend(pictures)
            return SimpleNamespace(score=np.zeros(len(pictures)))

    monkeypatch.setattr(trial, "train_on", train)
    monkeypatch.setattr(trial, "load_detector", lambda *args, **more: Scorer())
    try_recipes(TrialOptions(str(tmp_path / "d"), brief, region=mask))
    assert [np.array_equal(decode_region(each), inside) for each in regions] == [True, True]
    assert all((image[~inside] == OUTSIDE).all() for image in images)
    own, spoilt = images[:12], images[12:60]
    assert len(images) == 120  # by two recipes: as they are, and twice spoilt in two ways
    assert all(not np.array_equal(each, own[i % 12]) for i, each in enumerate(spoilt))
