"""The history: what was scored and what people said of it. Off unless a place for it is named.

It is in one SQLite file (`sqlite`), or in a PostgreSQL database that many servers share (`postgres`); `tables` are the
same in both. In each server one thread writes (`writer`), in group commits. Readers (`reader`) have connections of
their own and never wait for the writer. `retention` tells which rows go. `streams` goes on with each model's drift in
the same transactions. `export` turns corrections into a data set for `anomaly calibrate` and `anomaly evaluate`.
"""

from service.records.history.choice import restart_drift, store_of
from service.records.history.entries import HistoryEntry, StoredEntry
from service.records.history.reader import read_page, read_thumbnail
from service.records.history.retention import Retention
from service.records.history.streams import DriftStreams
from service.records.history.writer import History

__all__ = [
    "DriftStreams",
    "History",
    "HistoryEntry",
    "Retention",
    "StoredEntry",
    "read_page",
    "read_thumbnail",
    "restart_drift",
    "store_of",
]
