"""anomalib's GANomaly by its Engine, at its defaults: 100 epochs (or the time given) of batches of 32, width 64.

It is taught normal images alone, so that its Engine chooses no threshold on anomalous ones and scales no scores. Scores
come from the model that its Engine exports for torch, which anomalib's TorchInferencer loads.
"""

import argparse
import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from running import read, run  # type: ignore[import-not-found]

# torchvision has no build for this torch on a CPU, and the plain one cannot load its compiled part. Importing it needs
# these two declared; GANomaly calls neither.
_OPERATORS = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
for _name in ("nms", "qnms"):
    _OPERATORS.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]

EPOCHS = 100  # of anomalib's example configurations


def train(files: list[Path], model: Path, options: argparse.Namespace) -> None:
    """The Engine reads the images itself."""
    from anomalib.data import Folder  # type: ignore[import-not-found]
    from anomalib.deploy import ExportType  # type: ignore[import-not-found]
    from anomalib.engine import Engine  # type: ignore[import-not-found]
    from anomalib.models import Ganomaly  # type: ignore[import-not-found]
    from lightning import seed_everything  # type: ignore[import-not-found]

    seed_everything(0)
    data = Folder("normals", files[0].parent, num_workers=0, test_split_mode="none", val_split_mode="none", seed=0)
    detector = Ganomaly(pre_processor=Ganomaly.configure_pre_processor((options.side, options.side)))
    limit = {"max_epochs": EPOCHS, "max_time": timedelta(minutes=options.minutes)}
    engine = Engine(default_root_dir=model, accelerator="cpu", logger=False, limit_val_batches=0, **limit)
    engine.fit(detector, datamodule=data)
    print(f"{engine.trainer.global_step // 2} batches")  # Lightning counts the steps of both optimizers
    engine.export(detector, ExportType.TORCH, export_root=model)
    shutil.rmtree(model / "Ganomaly")  # the Engine's checkpoint: with Adam's moments, gigabytes at 256 x 256


def load(model: Path, side: int) -> Callable[[list[Path]], Any]:
    """Batches of RGB images in [0, 1]; the exported model normalises them itself."""
    from anomalib.deploy import TorchInferencer

    os.environ["TRUST_REMOTE_CODE"] = "1"  # its models are pickles: it asks for this word before it loads one
    (file,) = model.rglob("*.pt")
    inferencer = TorchInferencer(file, device="cpu")

    def score(files: list[Path]) -> Any:
        scores = []
        for start in range(0, len(files), 32):
            grey = np.stack([np.asarray(read(each, side)) for each in files[start : start + 32]])
            images = torch.from_numpy(grey).float().div(255)[:, None].expand(-1, 3, -1, -1)
            with torch.inference_mode():
                scores += inferencer.predict(images).pred_score.flatten().tolist()
        return scores

    return score


if __name__ == "__main__":
    run(argparse.ArgumentParser(description=__doc__), train, load)
