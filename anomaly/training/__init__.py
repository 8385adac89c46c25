"""Training: one loop, one step for each method, a state that can be saved and resumed to the identical result."""

from anomaly.training.curves import HistoryRow
from anomaly.training.diagnostics import Diagnostics, Finding
from anomaly.training.fit import Checkpoint, Trained, fit
from anomaly.training.following import follow
from anomaly.training.learn import LearnWatch, learn, learn_places
from anomaly.training.ranks import ALONE, Ranks, is_follower, is_ranked, joined
from anomaly.training.run_folder import RunFolder, run_folder
from anomaly.training.tensorboard import tensorboard_files

__all__ = [
    "ALONE",
    "Checkpoint",
    "Diagnostics",
    "Finding",
    "HistoryRow",
    "LearnWatch",
    "Ranks",
    "RunFolder",
    "Trained",
    "fit",
    "follow",
    "is_follower",
    "is_ranked",
    "joined",
    "learn",
    "learn_places",
    "run_folder",
    "tensorboard_files",
]
