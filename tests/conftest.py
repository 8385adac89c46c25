"""What several packages' tests share: a hypothesis profile, and tiny trained bundles."""

from pathlib import Path

import pytest
import torch
from hypothesis import settings

from anomaly.config import Method, Precision, ScoreConfig, SearchConfig, TrainingConfig
from anomaly.pipeline import TrainOptions, train_bundle

settings.register_profile("no deadline", deadline=None)  # a busy machine is no mistake
settings.load_profile("no deadline")
torch.set_num_threads(1)  # tiny networks gain nothing by two, and lose tenfold where the processors are busy

NUM_STEPS = 60


@pytest.fixture(scope="session")
def bigan_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The name directory of a BiGAN bundle of the digit 0; a test that changes files copies it first."""
    return _train(tmp_path_factory.mktemp("models") / "bigan", Method.BIGAN, search=None)


@pytest.fixture(scope="session")
def anogan_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for AnoGAN, with a search too short to find much."""
    return _train(
        tmp_path_factory.mktemp("models") / "anogan",
        Method.ANOGAN,
        search=SearchConfig(start="prior", steps=8, restarts=2),
    )


@pytest.fixture(scope="session")
def patched_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BiGAN with a patch discriminator beside it, which remembers."""
    return _train(tmp_path_factory.mktemp("models") / "patched", Method.BIGAN, search=None, negatives=True)


@pytest.fixture(scope="session")
def bf16_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `patched_dir`, in the faster precision, and scored by what was taught."""
    out, score = tmp_path_factory.mktemp("models") / "bf16", ScoreConfig(combine="taught")
    return _train(out, Method.BIGAN, search=None, negatives=True, precision=Precision.BF16, score=score)


def _train(
    out: Path,
    method: Method,
    *,
    search: SearchConfig | None,
    negatives: bool = False,
    precision: Precision = Precision.FP32,
    score: ScoreConfig = ScoreConfig(),
) -> Path:
    training = TrainingConfig(method=method, steps=NUM_STEPS, batch_size=16)
    train_bundle(
        TrainOptions(
            data="digits",
            out=out,
            normal=("0",),
            training=training,
            search=search,
            negatives=negatives,
            precision=precision,
            score=score,
            memory=negatives,
            size=8,
            channels=1,
            latent_dim=2,
            width=4,
            device="cpu",
            command=f"anomaly train digits --normal 0 --method {method} --out models/{method}",
        )
    )
    return out
