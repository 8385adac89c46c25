"""The history: what was scored and what people said of it, in one SQLite file. Off unless a file is named.

One thread writes (`writer`), in group commits. Each reader has a connection of its own (`reader`) and never waits for
the writer, as the file has a write-ahead log. `store` says what is kept and how the file looks. `export` turns
corrections into a data set for `anomaly calibrate` and `anomaly evaluate`.
"""

from service.records.history.reader import read_page, read_thumbnail
from service.records.history.store import Correction, HistoryEntry, StoredEntry, as_text
from service.records.history.writer import History, Retention

__all__ = [
    "Correction",
    "History",
    "HistoryEntry",
    "Retention",
    "StoredEntry",
    "as_text",
    "read_page",
    "read_thumbnail",
]
