import shlex

import pytest
from typer.testing import CliRunner

from anomaly.cli import app
from anomaly.config import AuxiliaryConfig, Recipe, SearchConfig
from anomaly.recipes import Survey, merged, parse_overrides, resolve
from benchmarks.one_class import METHODS, RESULTS, SETS, Run
from benchmarks.rows import read_rows
from tests.cli.calls import command_of


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SETS)
def test_each_recipe_is_one_that_the_program_takes(name: str, method: str) -> None:
    options = Run(name, method, "", 7).options()
    result = CliRunner().invoke(app, ["train", "digits", "--normal", "0", *options, "--out", "x", "--device", "none"])
    assert "unknown device 'none'" in result.output


def resolved(run: Run) -> Recipe:
    """The recipe of a run, on images of 32 pixels."""
    given = command_of(("train",)).make_context("train", ["digits", "--out", "x", *run.options()]).params
    overrides = merged(parse_overrides(given["set_"] or ()), {"training": {"seed": given["seed"]}})
    return resolve(given["recipe"], overrides, Survey(5000, 32, 32, has_colour=False)).recipe


def test_one_recipe_serves_all_classes_of_a_data_set() -> None:
    for name, data_set in SETS.items():
        recipes = {tuple(Run(name, "bigan", normal, 0).options()[2:]) for normal in data_set.classes}
        assert len(recipes) <= 1


def test_an_autoencoder_is_taught_nothing_beside_itself() -> None:
    def recipe_of(name: str, method: str) -> Recipe:
        return resolved(Run(name, method, "", 0))

    assert recipe_of("magnetic-tile", "bigan").auxiliary == AuxiliaryConfig(synthetic_defects=True, memory_bank=1024)
    assert recipe_of("magnetic-tile-apart", "bigan").auxiliary == AuxiliaryConfig(synthetic_defects=True)
    assert recipe_of("cifar10", "bigan").auxiliary == AuxiliaryConfig(rotation=True)
    for name in SETS:
        alone = recipe_of(name, "autoencoder")
        assert (alone.training.method, alone.auxiliary) == ("autoencoder", AuxiliaryConfig())
        assert alone.score.combine == "mahalanobis"


def test_methods_are_what_they_are_called() -> None:
    assert resolved(Run("mnist", "anogan", "8", 0)).search == SearchConfig(start="encoder", steps=30)
    assert resolved(Run("mnist", "bigan-no-game", "8", 0)).training.adversarial == 0
    assert resolved(Run("elpv-mono", "bigan", "", 3)).training.seed == 3


def test_rows_say_todays_command_of_each_run() -> None:
    rows = read_rows(RESULTS)
    assert len(rows) > 50
    for row in rows:
        if row["method"] in METHODS:
            run = Run(row["set"], row["method"], row["normal"], row["seed"])
            assert row["command"] == shlex.join(["anomaly", "train", row["set"], *run.options()])
        else:
            assert "-former" in row["method"]
