import pytest
from typer.testing import CliRunner

from anomaly.cli import app
from benchmarks.one_class import METHODS, SETS, Run


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SETS)
def test_each_recipe_is_one_that_the_program_takes(name: str, method: str) -> None:
    options = Run(name, method, "", 7).options()
    result = CliRunner().invoke(app, ["train", "digits", "--normal", "0", *options, "--out", "x", "--device", "none"])
    assert "unknown device 'none'" in result.output


def test_one_recipe_serves_all_classes_of_a_data_set() -> None:
    for name, data_set in SETS.items():
        recipes = {tuple(Run(name, "bigan", normal, 0).options()[2:]) for normal in data_set.classes}
        assert len(recipes) <= 1


def test_an_autoencoder_is_taught_nothing_beside_itself() -> None:
    assert "--negatives" in Run("magnetic-tile", "bigan", "", 0).options()
    assert "--negatives" not in Run("magnetic-tile", "autoencoder", "", 0).options()
