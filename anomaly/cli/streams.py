"""Standard output and standard error that never end a command: what cannot be written is left out, and that is said.

A disk is full, or who reads a pipe has gone. The work goes on, and the exit code is the work's. It is done below all
that prints (rich, typer, logging, the interpreter at its end), so nothing of these needs to know.
"""

import io
import sys
import time
from typing import Any

from anomaly.errors import reason_of


def make_lenient() -> None:
    """Replace both streams of this process. What they cannot show becomes an escape."""
    raws: list[_LenientRaw] = []
    for name, said in (("stdout", "standard output"), ("stderr", "standard error")):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper):
            continue  # there is none, or a test's
        under: Any = getattr(stream.buffer, "raw", stream.buffer)
        if isinstance(under, _LenientRaw):
            continue  # it was replaced before
        raw = _LenientRaw(under, said, raws)
        raws.append(raw)
        stream.flush()
        lenient = io.TextIOWrapper(
            io.BufferedWriter(raw),
            encoding=stream.encoding,
            errors="backslashreplace",
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )
        setattr(sys, name, lenient)


def has_lost_output() -> bool:
    """Whether something that was printed on standard output could not be written, or there is none."""
    if sys.stdout is None:
        return True
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return isinstance(raw, _LenientRaw) and raw.has_failed


class _LenientRaw(io.RawIOBase):
    """The bytes of one stream. The first time that it fails is told to the other streams."""

    def __init__(self, raw: io.RawIOBase, said: str, all_raws: "list[_LenientRaw]") -> None:
        self._raw = raw
        self._said = said
        self._all = all_raws
        self.has_failed = False

    def write(self, data: Any, /) -> int:
        """Write, or leave out."""
        size = memoryview(data).nbytes
        try:
            while (written := self._raw.write(data)) is None:  # a pipe that does not block, and is full
                time.sleep(0.01)
        except OSError as error:
            self._fail(error)
            return size
        return written

    def _fail(self, error: OSError) -> None:
        if self.has_failed:
            return
        self.has_failed = True
        text = f"warning: {self._said} cannot be written: {reason_of(error)}; the work goes on without it\n"
        for other in self._all:
            if other is not self:
                other.write(text.encode("ascii", "backslashreplace"))

    def writable(self) -> bool:
        """Always true."""
        return True

    def fileno(self) -> int:
        """The system's number of the stream."""
        return self._raw.fileno()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._raw.isatty()
