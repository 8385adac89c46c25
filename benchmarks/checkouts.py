"""This checkout of the project and one of before, each with its own code and its own form of the same bundles."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.serving import Program

ROOT = Path(__file__).parents[1]
CLI = (sys.executable, "-c", "from anomaly.cli import app; app()")


def environment(checkout: Path) -> dict[str, str]:
    """That of a Python which imports this checkout's code."""
    return os.environ | {"PYTHONPATH": str(checkout)}


def upgraded(bundle: Path, models: Path) -> Path:
    """A copy of a bundle's name directory under `models`, with its current version alone, in today's schema."""
    copy = shutil.copytree(bundle, models / bundle.name)
    command = [*CLI, "models", "upgrade", str(copy)]
    done = subprocess.run(command, cwd=ROOT, env=environment(ROOT), capture_output=True, text=True, check=False)
    if done.returncode and "nothing to upgrade" not in done.stderr:
        raise SystemExit(done.stderr)
    versions = sorted((each for each in copy.iterdir() if each.name.isdigit()), key=lambda each: int(each.name))
    for older in versions[:-1]:
        shutil.rmtree(older)
    return copy


def start_server(checkout: Path, models: Path, name: str, **more: Path) -> Program:
    """A server by this checkout's code, with further settings; returns when it says where it listens."""
    settings = {"ANOMALY_MODELS": str(models), "ANOMALY_DEFAULT_MODEL": name, "ANOMALY_PORT": "0"}
    settings |= {f"ANOMALY_{name.upper()}": str(value) for name, value in more.items()}
    everything = environment(checkout) | settings | {"ANOMALY_LOG_LEVEL": "error"}
    process = subprocess.Popen([*CLI, "serve"], cwd=checkout, env=everything, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"127\.0\.0\.1:(\d+)/", line):
            return Program(process, int(found[1]))
    raise SystemExit(f"the server of {checkout} has ended")
