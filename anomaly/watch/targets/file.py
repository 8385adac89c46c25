"""Reports appended to a CSV file or to JSON lines. Each is on the disk before it counts as arrived."""

import codecs
import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from anomaly.errors import UsageError, reason_of
from anomaly.files import storing
from anomaly.locks import writing_file
from anomaly.pipeline.results import ResultRow, write_csv, write_jsonl
from anomaly.watch.targets.target import DeliveryError

_CHUNK = 2**20  # bytes


class AppendedFile:
    """A file that grows by one row for each report. It may be moved away at any time; the next row makes a new one."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path = path
        self._columns = list(columns)
        self._is_csv = path.suffix == ".csv"
        self._held = ExitStack()
        self._held.enter_context(writing_file(path, "the results"))
        try:
            if path.exists():
                self._check_columns()  # first: what is no file of reports stays as it is
                with storing("the results", path.parent, instead="give another --to"):
                    _remove_torn_row(path, self._is_csv)
        except BaseException:
            self._held.close()
            raise

    def deliver(self, rows: Sequence[ResultRow]) -> Iterator[int]:
        """See `Target`. What could be written of the rows only in part is taken back."""
        try:
            with self._path.open("ab", buffering=0) as file:  # a buffer would write its rest when it is closed
                size = file.seek(0, os.SEEK_END)
                try:
                    _write_all(file, self._text_of(rows, header=not size))
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(size)
                    raise
        except OSError as error:
            raise DeliveryError(f"{self._path} cannot be written: {reason_of(error)}") from error
        yield len(rows)

    def close(self) -> None:
        """See `Target`."""
        self._held.close()

    def _text_of(self, rows: Sequence[ResultRow], *, header: bool) -> bytes:
        text = io.StringIO()
        if self._is_csv:
            write_csv(rows, text, self._columns, header=header)
        else:
            write_jsonl(rows, text, self._columns)
        return text.getvalue().encode(errors=sys.getfilesystemencodeerrors())

    def _check_columns(self) -> None:
        with storing("the results", self._path.parent, instead="give another --to"), self._path.open("rb") as file:
            first = file.readline()
        if not self._may_be_first(first.removeprefix(codecs.BOM_UTF8)):  # as editors and Excel write it
            raise UsageError(
                f"{self._path} has other columns than the reports of this model ({', '.join(self._columns)}); give "
                "another --to, or move it away"
            )

    def _may_be_first(self, line: bytes) -> bool:
        """Whether a file of reports may begin so; a crash may have cut off its first line."""
        if self._is_csv:
            header = self._text_of([], header=True)
            return line.rstrip() == header.rstrip() or (not line.endswith(b"\n") and header.startswith(line))
        begin = f"{{{json.dumps(self._columns[0])}: ".encode()
        if not line.endswith(b"\n"):
            return line.startswith(begin) or begin.startswith(line)
        try:
            row = json.loads(line)
        except ValueError:
            return False
        return isinstance(row, dict) and set(self._columns[:2]) <= row.keys()


def _write_all(file: io.FileIO, data: bytes) -> None:
    """The system may take a part at a time."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def _remove_torn_row(path: Path, is_csv: bool) -> None:
    """A row that a crash has cut off is written again, so what there is of it goes.

    A row of CSV ends at a line feed that is not between quotes: after an even number of them.
    """
    end = position = 0
    is_quoted = False
    with path.open("r+b") as file:
        while chunk := file.read(_CHUNK):
            for line in io.BytesIO(chunk):
                position += len(line)
                is_quoted ^= is_csv and line.count(b'"') % 2 == 1
                if line.endswith(b"\n") and not is_quoted:
                    end = position
        file.truncate(end)
