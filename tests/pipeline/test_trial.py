"""Which recipe suits: what is learnt from, what is judged by, and which one is named."""

import re
import shlex
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from anomaly.config.region import OUTSIDE, decode_region
from anomaly.data import open_dataset
from anomaly.errors import DataError, DeviceError, UsageError
from anomaly.evaluation.metrics import lead_over
from anomaly.pipeline import trial
from anomaly.pipeline.contests import ContestOutcome, TrialSummary
from anomaly.pipeline.train import TrainOptions, TrainSummary
from anomaly.pipeline.trial import TrialOptions, try_recipes
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
        figures = summary.trials[0].figures
        assert figures is not None
        found.append((summary.num_parts, figures.auroc, figures.interval))
    (_, auroc, of_pictures), (num_parts, same_auroc, of_parts) = found
    assert num_parts == 2
    assert auroc == same_auroc == 0.75
    assert of_parts[0] < of_pictures[0] - 0.1
    assert of_parts[1] > of_pictures[1] + 0.05


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


def test_of_copies_one_judges_and_none_is_learnt_from(tmp_path: Path) -> None:
    """Each picture three times: of 36 that were drawn to judge all had a copy among those that were learnt from."""
    write_images(tmp_path / "d", np.concatenate([digits("train", "0")[:60]] * 3))
    in_files = open_dataset(str(tmp_path / "d"))
    pictures = {sample.path: np.array(Image.open(sample.path)) for sample in in_files.train_normals()}
    in_memory = replace(in_files, samples=tuple(replace(s, pixels=pictures[s.path]) for s in in_files.samples))
    for dataset in (in_files, in_memory):
        learnt, judged = trial._split(dataset, dataset.train_normals(), seed=0)
        own, known = ([pictures[s.path].tobytes() for s in samples] for samples in (judged, learnt.samples))
        assert len(own) == len(set(own)) > 25
        assert not set(own) & set(known)
        assert len(set(own) | set(known)) == 60
        assert [s.path for s in judged] == sorted(s.path for s in judged)


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
        figures = each.figures
        assert figures is not None
        assert figures.interval[0] <= figures.auroc <= figures.interval[1]
        assert figures.auroc == pytest.approx((figures.drawn + figures.moved) / 2)
    assert list((tmp_path / "work").glob("anomaly-*")) == []


def test_a_recipe_that_cannot_be_trained_here_is_told_and_the_others_go_on(
    tmp_path: Path, brief: tuple[str, ...]
) -> None:
    """The next one takes the place of the first, and has the later ones beside it."""
    odd = tmp_path / "odd.toml"
    odd.write_text(Path(brief[0]).read_text() + '[score]\nfeature_layer = "none of D"\n')
    result = done("recipes", "try", "digits", "--normal", "0", "--recipes", ",".join((str(odd), *brief)))
    told = " ".join(result.stdout.split())
    assert f"{odd} cannot be tried: " in told
    assert f"{brief[1]} against {brief[0]}: " in told
    assert f"against {odd}" not in told
    assert f"choose {brief[0]}" in told


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


def scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *given: list[np.ndarray]) -> TrialSummary:
    """A trial of recipes that give 20 normals, and the same in their two ways of spoiling, these scores."""
    write_images(tmp_path / "d", digits("train", "0")[:100])
    for name in range(len(given)):
        (tmp_path / f"{name}.toml").write_text(BRIEF.format(steps=2))
    scores = iter(given)

    def load(*args: object, **more: object) -> SimpleNamespace:
        own, drawn, moved = next(scores)
        calls = iter([own, np.tile(drawn, 2), np.tile(moved, 2)])
        return SimpleNamespace(score=lambda pictures: SimpleNamespace(score=next(calls)))

    is_trained = SimpleNamespace(bundle=SimpleNamespace(manifest=SimpleNamespace(is_cut_short=False)))
    monkeypatch.setattr(trial, "train_on", lambda *args: is_trained)
    monkeypatch.setattr(trial, "load_detector", load)
    names = tuple(str(tmp_path / f"{name}.toml") for name in range(len(given)))
    return try_recipes(TrialOptions(str(tmp_path / "d"), names))


def test_a_lead_that_pictures_share_is_beyond_chance_and_one_of_unlike_pictures_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both later ones lead by about ten points, one of them by nearly every picture."""
    own = np.random.default_rng(1).normal(size=20)
    gains = np.random.default_rng(1).normal(2.0, 3.0, 20)
    shared = [own, own + 0.4, own + 0.4]
    steady = [own, own + 0.8, own + 0.8]
    unlike = [own, own + gains, own + gains]
    summary = scored(tmp_path, monkeypatch, shared, unlike, steady)
    by_chance, better = summary.contests
    assert by_chance.lead == pytest.approx(0.09, abs=0.02)
    assert better.lead == pytest.approx(0.13, abs=0.02)
    assert [by_chance.outcome, better.outcome] == [ContestOutcome.BY_CHANCE, ContestOutcome.BETTER]
    assert by_chance.interval[0] < 0 < better.interval[0]
    assert summary.best is summary.trials[2]
    labels = np.arange(100) >= 20
    one, two = (np.concatenate([each[0], np.tile(each[1], 4)]) for each in (steady, shared))
    parts = [str(row % 20) for row in range(100)]
    assert better.interval == pytest.approx(lead_over(one, two, labels, parts))
