"""Ray clusters of several nodes on this machine, on loopback only, for tests and measurements. They send nothing.

Ray takes 127.0.0.1 for the machine's own address in its network, so the nodes are 127.0.0.2, 127.0.0.3 and so on.
"""

import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_START_S = 60.0
_MARK = "ANOMALY_TEST_CLUSTER"  # in the environment of all of a cluster's processes
_STORE_BYTES = 100_000_000


@dataclass
class RayCluster:
    """A running cluster: its address, and the program of each node, the head first."""

    address: str
    folder: Path
    nodes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def add_node(self, num_cpus: int = 1) -> None:
        """Start one more node, the first one as the head, and wait until it runs."""
        host, port = self.address.split(":")
        own = f"127.0.0.{2 + len(self.nodes)}"
        options = [f"--node-ip-address={own}", f"--num-cpus={num_cpus}", f"--object-store-memory={_STORE_BYTES}"]
        if own == host:
            options += ["--head", f"--port={port}", f"--temp-dir={self.folder}", "--include-dashboard=false"]
            options += [f"--ray-client-server-port={_free_port(own)}"]
        else:
            options += [f"--address={self.address}"]
        environment = os.environ | {
            _MARK: str(self.folder),
            "RAY_USAGE_STATS_ENABLED": "0",
            "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")]),
        }
        log = self.folder / f"node-{len(self.nodes)}.log"
        with log.open("wb") as file:
            node = subprocess.Popen(
                [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats", *options],
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.nodes.append(node)
        until = time.monotonic() + _START_S
        while b"Ray runtime started" not in (told := log.read_bytes()):
            assert node.poll() is None, f"a Ray node does not start: {told[-2000:].decode(errors='replace')}"
            assert time.monotonic() < until, "a Ray node takes too long to start"
            time.sleep(0.1)

    def processes(self) -> list[psutil.Process]:
        """All of the cluster's."""
        return [process for process in psutil.process_iter() if self._owns(process)]

    def named(self, words: str) -> list[psutil.Process]:
        """Those whose command has these words."""
        found = []
        for process in self.processes():
            with suppress(psutil.Error):
                if words in " ".join(process.cmdline()):
                    found.append(process)
        return found

    def stop(self) -> None:
        """End what was started, by its process ids."""
        for node in reversed(self.nodes):
            node.terminate()
        for node in self.nodes:
            with suppress(subprocess.TimeoutExpired):
                node.wait(10)
        for process in self.processes():
            with suppress(psutil.Error):
                process.kill()
        for node in self.nodes:
            node.wait()
        self.nodes.clear()

    def _owns(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            return bool(process.environ().get(_MARK) == str(self.folder))
        return False


@contextmanager
def ray_cluster(*num_cpus: int) -> Iterator[RayCluster]:
    """A cluster with a node for each of the numbers of cores, stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        cluster = RayCluster(f"127.0.0.2:{_free_port('127.0.0.2')}", Path(folder))
        try:
            for num in num_cpus:
                cluster.add_node(num)
            yield cluster
        finally:
            cluster.stop()


def _free_port(host: str) -> int:
    """One outside the range that Ray gives to its workers, and below the system's own."""
    while True:
        port = random.randint(20_000, 32_000)  # noqa: S311  # no secret
        with socket.socket() as probe, suppress(OSError):
            probe.bind((host, port))
            return port
