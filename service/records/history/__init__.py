"""The history: what was scored and what people said of it, in one SQLite file. Off unless a file is named.

One thread writes (`writer`), in group commits; whoever reads has a connection of his own (`reader`), which the file's
write-ahead log lets him have without waiting. What is kept, and how the file looks, is in `store`; `export` turns
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
