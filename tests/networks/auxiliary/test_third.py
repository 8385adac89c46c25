"""A further auxiliary discriminator is a file, a field of its section and a place in the list, and nothing else.

The package is copied, these three are changed in the copy as a developer would, and a program uses it: recipe,
training, resuming, settling, statistics, bundle, loading, scores and heatmaps take it for one of their own.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

BRIGHTNESS = """
import torch
from torch import Tensor, nn

from anomaly.config import NetworkPlan
from anomaly.networks.auxiliary.protocol import Auxiliary, AuxiliaryEvidence, Batches
from anomaly.networks.frozen import Frozen


class _Smooth(Frozen):
    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        self.mean = nn.Conv2d(plan.channels, 1, kernel_size=3, padding=1, bias=False)
        nn.init.constant_(self.mean.weight, 1 / 9)
        self.freeze()

    def forward(self, x: Tensor) -> Tensor:
        return self.mean(x)


class Brightness(Auxiliary):
    name = "brightness"

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        self.discriminator = nn.Sequential(_Smooth(plan), nn.Conv2d(1, 1, kernel_size=1))
        self.register_buffer("usual", torch.zeros(plan.size, plan.size))

    def examples(self, x: Tensor, *, seed: int, step: int) -> tuple[Tensor, Tensor]:
        return x, x.mean(dim=1, keepdim=True)

    def loss(self, images: Tensor, targets: Tensor) -> Tensor:
        return (self.discriminator(images) - targets).square().mean()

    @torch.no_grad()
    def settle(self, plan: NetworkPlan, train: Batches, select: Batches) -> None:
        self.usual = torch.cat([self.discriminator(x)[:, 0] for x in select(None)]).mean(dim=0)

    def forward(self, x: Tensor) -> AuxiliaryEvidence:
        places = (self.discriminator(x)[:, 0] - self.usual).abs()
        return AuxiliaryEvidence(places.flatten(1).amax(dim=1), (places,))

    @staticmethod
    def num_maps(plan: NetworkPlan) -> int:
        return 1
"""

PROGRAM = """
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import anomaly
from anomaly.bundle import load
from anomaly.data import open_dataset
from anomaly.pipeline.train import TrainOptions, train_bundle
from anomaly.recipes import merged, parse_overrides
from anomaly.report.curves import panels

root, out = Path(sys.argv[1]), Path(sys.argv[2])
assert Path(anomaly.__file__).is_relative_to(root)
torch.set_num_threads(1)
tiny = ["preprocess.size=8", "network.latent_dim=2", "network.width=4", "training.steps=20", "training.batch_size=8"]
sections = parse_overrides([*tiny, "auxiliary.brightness=true"])
options = TrainOptions(data="digits", out=out, recipe="digits", overrides=sections, normal=("0",), device="cpu")
train_bundle(options)
longer = merged(sections, {"training": {"steps": 30}})
contents = train_bundle(replace(options, overrides=longer, resume=True)).bundle.contents
whole = train_bundle(replace(options, overrides=longer, out=out.parent / "whole")).bundle.contents

recipe = contents.manifest.recipe
assert recipe.auxiliary.brightness and recipe.score.combine == "auxiliary"
assert "brightness" in contents.manifest.terms
assert len(contents.history) == 30
assert all({"loss_brightness", "grad_brightness"} < row.keys() for row in contents.history)
assert "Auxiliary: brightness" in [panel.title for panel in panels(contents.history, has_optimum=True)]
prefix = "auxiliaries.brightness."
own = {name.removeprefix(prefix) for name in contents.weights if name.startswith(prefix)}
assert own == {"discriminator.0.mean.weight", "discriminator.1.weight", "discriminator.1.bias", "usual"}
assert contents.weights[prefix + "usual"].any()
np.testing.assert_allclose(contents.weights[prefix + "discriminator.0.mean.weight"], 1 / 9)
for name, weight in whole.weights.items():
    np.testing.assert_array_equal(contents.weights[name], weight)
assert contents.map_scale.layers.shape == (1,)
assert "auxiliary discriminators: brightness" in load(out).card

detector = anomaly.load_detector(out, device="cpu", engine="torch")
samples = [sample.pixels for sample in open_dataset("digits", normal=["0"]).samples[:5]]
bright = [*samples, np.full((8, 8), 255, np.uint8)]
scores = detector.score(bright)
assert scores.errors == [None] * 6
assert scores.terms["brightness"].argmax() == scores.score.argmax() == 5
expected = contents.statistics.auxiliary_excess(scores.terms) + 0.1 * contents.statistics.distance(scores.terms)
np.testing.assert_allclose(scores.score, expected)
networks = detector.engine._graph.networks
(auxiliary,) = networks.all_auxiliaries()
with torch.no_grad():
    places = auxiliary(torch.full((1, 1, 8, 8), 1.0)).maps[0].numpy()
np.testing.assert_allclose(scores.heatmap[5], contents.map_scale.heatmap(places[None])[0], rtol=1e-5)
print("done")
"""


def replace_once(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert text.count(old) == 1, f"{file}: {old}"
    file.write_text(text.replace(old, new), "utf-8")


def test_a_third_auxiliary_discriminator_needs_no_other_change(tmp_path: Path) -> None:
    package = Path(shutil.copytree(ROOT / "anomaly", tmp_path / "root" / "anomaly"))
    auxiliary = package / "networks" / "auxiliary"
    (auxiliary / "brightness.py").write_text(BRIGHTNESS, "utf-8")
    replace_once(
        package / "config" / "sections.py",
        "    rotation: bool = False\n",
        "    rotation: bool = False\n    brightness: bool = False\n",
    )
    listed = auxiliary / "__init__.py"
    replace_once(listed, "= (SyntheticDefects, Rotation)", "= (SyntheticDefects, Rotation, Brightness)")
    first = "from anomaly.networks.auxiliary.memory_bank import"
    replace_once(listed, first, f"from anomaly.networks.auxiliary.brightness import Brightness\n{first}")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "root"), str(tmp_path / "m")],
        cwd=tmp_path / "root",
        env=os.environ | {"PYTHONPATH": str(tmp_path / "root")},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1:] == ["done"], done.stderr
