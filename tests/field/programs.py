"""The command line in a process of its own, as a person's shell, a cron job or a small machine gives it."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("anomaly")
_END = "\nended with "
_CHILD = f"""
import json, sys
{{before}}
from anomaly.cli import app
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["anomaly", *arguments]
    try:
        app()
    except SystemExit as end:
        for stream in (sys.stdout, sys.stderr):
            print({_END!r} + str(end.code or 0), file=stream, flush=True)
"""
Arguments = Sequence[str | Path]


@dataclass(frozen=True)
class Ended:
    """What one call printed, as bytes of its console's encoding, and its exit code."""

    code: int
    out: bytes
    err: bytes


def run_each(calls: Sequence[Arguments], *, before: str = "", **environment: str) -> list[Ended]:
    """Several calls in one process, each by the program's own entry; `before` is Python that is run first."""
    words = json.dumps([[str(word) for word in arguments] for arguments in calls])
    process = subprocess.run(
        [sys.executable, "-c", _CHILD.replace("{before}", before), words],
        capture_output=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
    )
    outs, errs = (stream.split(_END.encode()) for stream in (process.stdout, process.stderr))
    assert len(outs) == len(calls) + 1, process.stderr.decode(errors="replace")
    ended = []
    for index in range(len(calls)):
        code = outs[index + 1].split(b"\n")[0]
        out, err = (parts[index].split(b"\n", 1)[-1] if index else parts[index] for parts in (outs, errs))
        ended.append(Ended(int(code), out, err))
    return ended


def start(*arguments: str | Path) -> "subprocess.Popen[str]":
    """The program, begun and not waited for."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen([PROGRAM, *arguments], stdout=pipe, stderr=pipe, text=True, env=environment)


def hold(lock: Path) -> "subprocess.Popen[str]":
    """A process that holds a lock file until it is killed; it holds it when this returns."""
    program = f"""
import sys, time
from pathlib import Path
from anomaly.locks import held
with held(Path({str(lock)!r}), "the place"):
    print("held", flush=True)
    time.sleep(600)
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process
