"""Training: one loop, one step a game, a state that can be saved and resumed to the identical result."""

from anomaly.training.fit import Checkpoint, Trained, fit
from anomaly.training.state import HistoryRow

__all__ = ["Checkpoint", "HistoryRow", "Trained", "fit"]
