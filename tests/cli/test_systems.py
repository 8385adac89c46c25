"""Every system of the lectures, by the command line: trained, verified, scored and evaluated."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import anomaly
from anomaly.cli import app

SYSTEMS = {
    "MLP GAN": ["--method", "anogan", "--network", "mlp", "--size", "9", "--hidden", "32,16"],
    "DCGAN": ["--method", "anogan", "--discriminator-batch-norm", "--size", "16"],
    "LeNet-5": ["--method", "anogan", "--network", "lenet", "--size", "32"],
    "autoencoder": ["--method", "autoencoder"],
    "autoencoder of layers": ["--method", "autoencoder", "--network", "mlp", "--score", "paper"],
    "uniform prior": ["--prior", "uniform"],
    "minimax": ["--loss", "minimax", "--method", "anogan"],
    "non-saturating": ["--loss", "non-saturating", "--method", "anogan"],
    "Wasserstein, clipped": ["--loss", "wasserstein", "--clip-weights", "0.01", "--method", "anogan"],
    "Wasserstein, penalised": ["--loss", "wasserstein", "--gradient-penalty", "10"],
    "hinge": ["--loss", "hinge"],
    "Algorithm 1": ["--d-steps", "3", "--optimizer", "sgd", "--learning-rate", "0.01", "--method", "anogan"],
    "several moves of G": ["--g-steps", "2"],
    "AnoGAN, first form": ["--method", "anogan", "--search-objective", "cross-entropy", "--score", "paper"],
    "AnoGAN, first form, Yeh": ["--method", "anogan", "--search-objective", "saturating", "--score", "paper"],
    "AnoGAN, second form": ["--method", "anogan", "--feature-layer", "conv1", "--score", "paper"],
    "BiGAN": ["--method", "bigan"],
    "f-AnoGAN": ["--method", "f-anogan", "--score", "paper"],
    "ALAD": ["--method", "alad", "--score", "paper"],
    "ALAD of layers": ["--method", "alad", "--network", "mlp"],
    "negatives": ["--negatives"],
    "negatives and a memory": ["--negatives", "--memory"],
    "negatives beside an autoencoder": ["--negatives", "--method", "autoencoder", "--size", "16"],
    "turns": ["--turns"],
    "turns beside f-AnoGAN": ["--turns", "--method", "f-anogan"],
    "negatives and turns": ["--negatives", "--turns", "--score", "taught"],
    "turns in the distance": ["--turns", "--score", "mahalanobis"],
    "negatives beside f-AnoGAN": ["--negatives", "--method", "f-anogan"],
}


def call(*arguments: str | Path) -> None:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("name", SYSTEMS)
def test_each_trains_into_a_bundle_that_scores_and_evaluates(name: str, tmp_path: Path) -> None:
    options = SYSTEMS[name]
    if "anogan" in options:
        options = [*options, "--search-steps", "2", "--restarts", "1"]
    model, report = tmp_path / "model", tmp_path / "report"
    call(
        "train",
        "digits",
        "--normal",
        "0",
        "--steps",
        "4",
        "--batch-size",
        "16",
        "--width",
        "4",
        "--out",
        model,
        *options,
    )
    call("evaluate", model, "digits", "--normal", "0", "--sample", "40", "--out", report)
    assert 0 <= json.loads((report / "metrics.json").read_text())["auroc"] <= 1
    detector = anomaly.load_detector(model)
    picture = Path(__file__).parents[2] / "docs" / "examples" / "zero.png"
    scores = detector.score(picture)
    assert scores.heatmap[0].shape == (28, 28)
    assert scores.errors == [None]


def test_an_autoencoders_decoder_begins_a_generator(tmp_path: Path) -> None:
    common = ["train", "digits", "--normal", "0", "--batch-size", "16", "--steps", "2"]
    call(*common, "--width", "4", "--method", "autoencoder", "--out", tmp_path / "ae")
    call(*common, "--width", "4", "--init-decoder", tmp_path / "ae", "--out", tmp_path / "gan")
    call("models", "verify", tmp_path / "gan")
    result = CliRunner().invoke(
        app, [*common, "--width", "8", "--init-decoder", str(tmp_path / "ae"), "--out", str(tmp_path / "other")]
    )
    assert result.exit_code == 2
    assert "has other layers than this G" in result.output
