"""Images and containers without a daemon: buildah builds, runc runs. Both are Debian packages, and both need root.

The images lie in a folder of their own, by the storage driver `vfs`, which works on every file system.
"""

import json
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUITE = "bookworm"
"""The Debian release that a base is made of; its Python is 3.11."""
PACKAGES = "python3-venv,ca-certificates"
START_TIMEOUT_S, STOP_TIMEOUT_S = 180, 60
NOT_MOUNTED = ("/sys", "/sys/fs/cgroup")
"""What runc would mount by default and a service does not need; some machines have not the right to it."""


@dataclass(frozen=True)
class Images:
    """The images under `folder`."""

    folder: Path

    def has(self, name: str) -> bool:
        """Whether there is an image of this name."""
        done = subprocess.run([*self._buildah, "inspect", "--type=image", name], capture_output=True, check=False)
        return done.returncode == 0

    def make_base(self, name: str, mirror: str) -> None:
        """A minimal Debian with Python, which debootstrap takes from `mirror`."""
        tree = self.folder / "base"
        call("debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, tree, mirror)
        container = self._call("from", "scratch")
        self._call("add", "--quiet", container, tree)
        self._call("commit", "--quiet", "--rm", container, name)
        shutil.rmtree(tree)

    def build(self, name: str, context: Path, arguments: Mapping[str, str], mounts: Sequence[Path]) -> None:
        """Build the Dockerfile of `context`; its commands see `mounts`, at their own places and read-only."""
        options = [f"--build-arg={key}={value}" for key, value in arguments.items()]
        options += [f"--volume={path}:{path}:ro" for path in mounts]
        self._call("build", "--isolation=chroot", "--format=docker", f"--tag={name}", *options, context)

    def config(self, name: str) -> dict[str, Any]:
        """What the image says of how it is run: `User`, `Env`, `Cmd`, `WorkingDir`, `Healthcheck`, `Labels`."""
        found: dict[str, Any] = json.loads(self._call("inspect", "--type=image", name))["Docker"]["config"]
        return found

    @contextmanager
    def mounted(self, name: str) -> Iterator[Path]:
        """The root of the image's files."""
        container = self._call("from", name)
        try:
            yield Path(self._call("mount", container))
        finally:
            self._call("rm", container)

    @property
    def _buildah(self) -> list[str]:
        places = [f"--root={self.folder / 'storage'}", f"--runroot={self.folder / 'run'}"]
        return ["buildah", "--log-level=error", "--storage-driver=vfs", *places]

    def _call(self, *arguments: str | Path) -> str:
        return call(*self._buildah, *arguments)


@dataclass(frozen=True)
class Container:
    """A running container."""

    name: str
    spec: dict[str, Any]
    process: "subprocess.Popen[str]"

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Another program inside, as the same user in the same environment."""
        process = self.spec["process"]
        user = f"--user={process['user']['uid']}:{process['user']['gid']}"
        environment = [f"--env={each}" for each in process["env"]]
        inside = ["runc", "exec", user, f"--cwd={process['cwd']}", *environment, self.name, *command]
        return subprocess.run(inside, capture_output=True, text=True, check=False)

    def stop(self) -> int:
        """Tell it to stop by SIGTERM; its exit code."""
        call("runc", "kill", self.name, "TERM")
        return self.process.wait(STOP_TIMEOUT_S)


@contextmanager
def running(
    root: Path,
    config: Mapping[str, Any],
    folder: Path,
    *,
    volumes: Mapping[str, Path],
    environment: Mapping[str, str],
    command: Sequence[str] = (),
) -> Iterator[Container]:
    """A container of an image's `root` and `config`: read-only, with no network but its loopback and no capability.

    `volumes` are folders that it may write, by their places inside. `environment` is added to the image's, and
    `command` replaces the image's. What it says goes to `folder`/log.
    """
    folder.mkdir(parents=True)
    call("runc", "spec", f"--bundle={folder}")
    spec = json.loads((folder / "config.json").read_text("utf-8"))
    uid, _, gid = config["User"].partition(":")
    spec["root"] = {"path": str(root), "readonly": True}
    spec["process"] |= {
        "terminal": False,
        "user": {"uid": int(uid), "gid": int(gid)},
        "args": list(command or config["Cmd"]),
        "env": [*config["Env"], *(f"{key}={value}" for key, value in environment.items())],
        "cwd": config["WorkingDir"],
        "capabilities": {},
        "noNewPrivileges": True,
    }
    spec["process"].pop("rlimits", None)
    spec["mounts"] = [mount for mount in spec["mounts"] if mount["destination"] not in NOT_MOUNTED]
    spec["mounts"] += [
        {"destination": inside, "type": "bind", "source": str(path), "options": ["bind", "rw", "nosuid", "nodev"]}
        for inside, path in volumes.items()
    ]
    (folder / "config.json").write_text(json.dumps(spec), encoding="utf-8")
    name = f"anomaly-{uuid.uuid4().hex[:8]}"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            ["runc", "run", f"--bundle={folder}", name], stdin=subprocess.DEVNULL, stdout=log, stderr=log, text=True
        )
        try:
            yield Container(name, spec, process)
        finally:
            if process.poll() is None:
                call("runc", "kill", name, "KILL")
                process.wait(STOP_TIMEOUT_S)


def call(*command: str | Path) -> str:
    """What a program says; it ends this one with its last lines if it fails."""
    try:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise SystemExit(
            f"error: {command[0]} is not there; install it (Debian: apt-get install {command[0]})"
        ) from None
    if done.returncode:
        raise SystemExit(f"error: {' '.join(map(str, command[:8]))} …\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout.strip()
