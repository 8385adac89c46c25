"""Result rows on their way to a file: CSV, JSON lines or Parquet, by the file's suffix.

Rows are written as they come. The file is there when all of them are, never before.
"""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, TextIO

from anomaly.bundle import check_outside_versions
from anomaly.counted import counted
from anomaly.errors import UsageError
from anomaly.extras import require
from anomaly.files import check_replaceable, replacing, storing, to_text

Value = str | float | bool | None
ResultRow = Mapping[str, Value]
_FIRST, _LAST = ["path", "score", "p_value", "is_anomalous", "threshold"], "error"  # of the columns of results
_ROWS_A_GROUP = 4096
_BUFFER = 2**20  # bytes: each write to the file waits for the threads that decode
_WORDS = {True: "true", False: "false"}
_NOT_UTF8 = {
    ".csv": "byte for byte; in Python read it with errors='surrogateescape'",
    ".jsonl": r"with \udc80 to \udcff for those bytes, as Python reads them",
    ".parquet": r"with \x80 to \xff for those bytes",
}


def check_results_path(path: Path) -> None:
    """Before any work is done: can results be written there?

    Raises:
        UsageError: an unknown suffix, no such folder, one in a version of a model, or Parquet without its library.
    """
    if path.suffix not in _WRITERS:
        raise UsageError(f"results are written to a file ending in {', '.join(_WRITERS)}; got {str(path)!r}")
    if path.is_dir():
        raise UsageError(f"{path} is a folder; give a file for the results")
    if not path.resolve().parent.is_dir():
        raise UsageError(f"the folder {path.resolve().parent} does not exist; create it first")
    check_outside_versions(path)
    if path.suffix == ".parquet":
        _require_pyarrow()


def check_old_results(path: Path) -> None:
    """Raises UsageError where results would replace a file that has other columns than theirs."""
    check_replaceable(path, _is_results, "a file of results")


def _is_results(path: Path) -> bool:
    columns = _COLUMNS_OF[path.suffix](path)
    return columns[: len(_FIRST)] == _FIRST and columns[-1] == _LAST


def write_results(rows: Iterable[ResultRow], path: Path, columns: Mapping[str, type]) -> None:
    """Write rows of these columns (name → str, float or bool); what a row lacks is null.

    Raises:
        StorageError: the file cannot be written.
    """
    with storing("the results", path.parent, instead="give another --out"), replacing(path) as work:
        _WRITERS[path.suffix](iter(rows), work, columns)


def notes_on_names(paths: Iterable[str], out: Path) -> list[str]:
    """How `out` has paths that are not UTF-8; nothing where all are."""
    num = sum(path != to_text(path) for path in paths)
    return (
        [f"{counted(num, 'path is', 'paths are')} not UTF-8 text; {out.name} has them {_NOT_UTF8[out.suffix]}"]
        if num
        else []
    )


def write_csv(rows: Iterable[ResultRow], file: TextIO, columns: Iterable[str], *, header: bool = True) -> None:
    """Null is an empty field, true and false are lower case, floats keep every digit."""
    names = list(columns)
    writer = csv.writer(_LineFeeds(file), lineterminator="\r\n")
    if header:
        writer.writerow(names)
    for row in rows:
        values = [row.get(name) for name in names]
        writer.writerow([_WORDS[value] if isinstance(value, bool) else value for value in values])


def write_jsonl(rows: Iterable[ResultRow], file: TextIO, columns: Iterable[str]) -> None:
    """One object in each line; bytes of paths that are not UTF-8 are escaped, so the text is ASCII."""
    names = list(columns)
    for row in rows:
        json.dump({name: row.get(name) for name in names}, file, allow_nan=False)
        file.write("\n")


def write_parquet(
    rows: Iterable[ResultRow],
    sink: Path | BinaryIO,
    columns: Mapping[str, type],
    metadata: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Row groups of a fixed size, and no times: the same rows and metadata are the same bytes, by one pyarrow."""
    _require_pyarrow()
    import pyarrow as pa
    from pyarrow import parquet

    types = {str: pa.string(), float: pa.float64(), bool: pa.bool_()}
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()], metadata=dict(metadata) or None)
    remaining = iter(rows)
    with parquet.ParquetWriter(sink, schema) as writer:
        while group := [_utf8(row) for row in islice(remaining, _ROWS_A_GROUP)]:
            writer.write_table(pa.Table.from_pylist(group, schema=schema))


def _write_csv(rows: Iterator[ResultRow], path: Path, columns: Mapping[str, type]) -> None:
    with _open(path) as file:
        write_csv(rows, file, columns)


@dataclass(frozen=True)
class _LineFeeds:
    r"""Ends rows in "\n". The csv module quotes fields that hold a part of its line end, and "\r" needs quotes too."""

    file: TextIO

    def write(self, row: str) -> None:
        self.file.write(row.removesuffix("\r\n") + "\n")


def _write_jsonl(rows: Iterator[ResultRow], path: Path, columns: Mapping[str, type]) -> None:
    with _open(path) as file:
        write_jsonl(rows, file, columns)


def _utf8(row: ResultRow) -> dict[str, Value]:
    """File names that are not Unicode keep their bytes as backslash escapes."""
    return {name: to_text(value) if isinstance(value, str) else value for name, value in row.items()}


def _open(path: Path) -> TextIO:
    return path.open("w", _BUFFER, encoding="utf-8", errors=sys.getfilesystemencodeerrors(), newline="")


def _require_pyarrow() -> None:
    require("writing .parquet", "parquet", "pyarrow", instead="choose .csv")


def _columns_of_csv(path: Path) -> list[str]:
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        try:
            return next(csv.reader(file), [])
        except csv.Error:
            return []


def _columns_of_jsonl(path: Path) -> list[str]:
    with path.open("rb") as file:
        try:
            row = json.loads(file.readline())
        except ValueError:
            return []
    return list(row) if isinstance(row, dict) else []


def _columns_of_parquet(path: Path) -> list[str]:
    from pyarrow import ArrowException, parquet

    try:
        return list(parquet.read_schema(path).names)
    except ArrowException:
        return []


_COLUMNS_OF: dict[str, Callable[[Path], list[str]]] = {
    ".csv": _columns_of_csv,
    ".jsonl": _columns_of_jsonl,
    ".parquet": _columns_of_parquet,
}
_WRITERS: dict[str, Callable[[Iterator[ResultRow], Path, Mapping[str, type]], None]] = {
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
    ".parquet": write_parquet,
}
