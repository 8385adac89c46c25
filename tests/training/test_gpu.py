"""What only a CUDA GPU can show: trainings on it, and ranks that average among GPUs. Skipped where there is none."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from PIL import Image
from torch.multiprocessing.spawn import spawn

from anomaly.inference import load_detector
from anomaly.pipeline.train import TrainOptions, train_bundle
from anomaly.training import joined
from tests.training.ranked import CASES, SIZE, free_port, in_double, rank, result, train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
CUDA = torch.device("cuda", 0)
_TINY: dict[str, dict[str, Any]] = {
    "preprocess": {"size": 8, "channels": 1},
    "network": {"latent_dim": 2, "width": 4},
    "training": {"steps": 40, "batch_size": 16},
}
_BRIEF: dict[str, dict[str, Any]] = {"training": {"steps": 20}, "features": {"memory": 64}}


@pytest.mark.parametrize("recipe", ["digits", "anogan", "f-anogan", "alad", "autoencoder", "parts", "large-parts"])
def test_what_a_gpu_has_learnt_scores_alike_on_gpu_and_cpu(recipe: str, drawn_parts: Path, tmp_path: Path) -> None:
    sees_parts = "parts" in recipe
    train_bundle(
        TrainOptions(
            data=str(drawn_parts) if sees_parts else "digits",
            out=tmp_path / "model",
            recipe=recipe,
            overrides=_BRIEF if sees_parts else _TINY,
            normal=() if sees_parts else ("0",),
            device="cuda",
        )
    )
    pictures = (
        [np.asarray(Image.open(picture)) for picture in sorted(drawn_parts.glob("*.png"))] if sees_parts else _noise(40)
    )
    here, there = (load_detector(tmp_path / "model", device=device) for device in ("cpu", "cuda"))
    expected, found = here.score(pictures), there.score(pictures)
    tolerance = 10 * here.bundle.manifest.tolerance
    np.testing.assert_allclose(found.score, expected.score, rtol=tolerance, atol=tolerance)


def test_two_ranks_on_a_gpu_learn_what_one_learns_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NCCL refuses two ranks on one GPU. Where there is but one, they exchange by gloo, which takes its tensors too."""
    spawn(_rank_of_gpus, (tmp_path, free_port()), SIZE)  # type: ignore[no-untyped-call]
    with in_double(monkeypatch):
        for name in CASES:
            train(tmp_path, name, device=CUDA)
            one, two = result(tmp_path, name, 1), result(tmp_path, name, 2)
            for key, value in one.items():
                if key != "curve/diversity":
                    close = 1e-5 if "curve" in key else 1e-7
                    torch.testing.assert_close(two[key], value, rtol=close, atol=close, msg=f"{name}: {key}")


def test_a_rank_on_a_gpu_exchanges_by_nccl_there_and_by_gloo_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1"}
    for name, value in (alone | {"MASTER_PORT": free_port()}).items():
        monkeypatch.setenv(name, str(value))
    with joined(CUDA) as ranks:
        assert (ranks.rank, ranks.size) == (0, 1)
        assert dist.get_backend_config() == "cpu:gloo,cuda:nccl"
        values = torch.arange(6.0, device=CUDA, requires_grad=True)
        ranks.sum(values).square().sum().backward()  # type: ignore[no-untyped-call]
        torch.testing.assert_close(values.grad, 2 * values.detach())
        verdict = torch.ones((), dtype=torch.int64)
        dist.broadcast(verdict, 0)
        dist.all_reduce(verdict, dist.ReduceOp.MIN)
        assert verdict == 1


def _rank_of_gpus(number: int, folder: Path, port: int) -> None:
    has_several = torch.cuda.device_count() >= SIZE
    with pytest.MonkeyPatch.context() as patch:
        if not has_several:
            init = dist.init_process_group
            patch.setattr(dist, "init_process_group", lambda backend, **options: init("gloo", **options))
        rank(number, folder, port, torch.device("cuda", number if has_several else 0))


def _noise(num: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (num, 8, 8), dtype=np.uint8))
