"""The detectors compared, and the commands that train them and score with them, each peer in its own environment.

Titles, arguments and versions are data here; what a peer's script does is in `peer_scripts/`.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peer_images import ImageSet

SCRIPTS = Path(__file__).parent / "peer_scripts"
OURS = "ours"


class PeerError(Exception):
    """A peer cannot be installed or run; the message is one sentence that says why."""


@dataclass(frozen=True)
class Peer:
    """`environment` names its requirements, `script` with `arguments` is its program."""

    title: str
    environment: str
    script: str
    arguments: tuple[str, ...] = ()
    takes_vectors: bool = True


PEERS = {
    "pca": Peer("PCA, 50 components (scikit-learn)", "pca", "pca.py"),
    "pyod-alad": Peer("ALAD (PyOD)", "pyod", "pyod_detectors.py", ("alad",)),
    "pyod-alad-longer": Peer("ALAD (PyOD), trained on", "pyod", "pyod_detectors.py", ("--train-on", "alad")),
    "pyod-deep-svdd": Peer("DeepSVDD (PyOD)", "pyod", "pyod_detectors.py", ("deep-svdd",)),
    "anomalib-ganomaly": Peer("GANomaly (anomalib)", "anomalib", "anomalib_ganomaly.py", takes_vectors=False),
}
TITLES = {OURS: "`anomaly`"} | {name: peer.title for name, peer in PEERS.items()}


def make_environment(name: str, cache: Path) -> dict[str, float]:
    """A virtual environment with the requirements of that name, made once; returns what it takes on disk, in MB."""
    folder, requirements = cache / name, SCRIPTS / f"{name}.txt"
    stamp = folder / "requirements.txt"  # what is installed, once it is
    if not stamp.exists() or stamp.read_text("utf-8") != requirements.read_text("utf-8"):
        _call([sys.executable, "-m", "venv", "--clear", str(folder)], "its environment cannot be made")
        install = ["-m", "pip", "install", "--quiet", "--requirement", str(requirements)]
        _call([_python(name, cache), *install], "pip cannot install it")
        stamp.write_text(requirements.read_text("utf-8"), encoding="utf-8")
    files = (file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    return {"environment_mb": round(sum(file.stat().st_size for file in files) / 1e6)}


def train_command(name: str, images: ImageSet, folder: Path, model: Path, minutes: float, cache: Path) -> list[str]:
    """`folder` is an MVTec-style tree, of which a peer is given the normal training images."""
    if name == OURS:
        options = ["--recipe", images.recipe, "--max-minutes", str(minutes)]
        return [_anomaly(), "train", str(folder), *options, "--out", str(model)]
    side = images.vector_side if PEERS[name].takes_vectors else images.square_side
    options = ["--side", str(side), "--minutes", str(minutes)]
    return [*_script(name, cache), "train", str(folder / "train" / "good"), str(model), *options]


def score_command(name: str, model: Path, images: Path, out: Path, cache: Path) -> list[str]:
    """Of one image, or of a folder; `out` is a CSV file with the columns `path` and `score`."""
    if name == OURS:
        return [_anomaly(), "score", str(model), str(images), "--out", str(out)]
    return [*_script(name, cache), "score", str(model), str(images), str(out)]


def evaluate_command(model: Path, folder: Path, report: Path) -> list[str]:
    """Ours alone has one: the AUROC of a peer is computed from its scores."""
    return [_anomaly(), "evaluate", str(model), str(folder), "--out", str(report)]


def _anomaly() -> str:
    return str(Path(sys.executable).with_name("anomaly"))


def _script(name: str, cache: Path) -> list[str]:
    peer = PEERS[name]
    return [_python(peer.environment, cache), str(SCRIPTS / peer.script), *peer.arguments]


def _python(environment: str, cache: Path) -> str:
    return str(cache / environment / ("Scripts" if sys.platform == "win32" else "bin") / "python")


def _call(command: list[str], what: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise PeerError(f"{what}: {last_line(done.stderr)}")


def last_line(text: str) -> str:
    """What a failing program said last; of Python that is the error itself."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it said nothing")
