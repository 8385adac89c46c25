"""What Ray Data costs beside tasks of Ray: an archive scored by both, and what its checkpoints take.

    python -m benchmarks.archive_ray_data [--model models/mnist] [--shards 20] [--images 500] [--ids 100000,1000000]

The same Parquet shards are scored by `anomaly archive --ray` and by a pipeline of Ray Data (read_parquet, map_batches
by two actors with the same scoring, write_parquet), on one cluster. Then Ray Data is given checkpoints of so many ids,
as strings such as images have, and a run with nothing left to do is measured: the time, and the memory that its
processes take at most beyond that before. The nodes say that they have two cores each: Ray Data lists files in a task
of one core whatever it is told, and waits for ever where its actors leave no node with a whole one. Needs `ray[data]`
and psutil.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
from pyarrow import parquet

from benchmarks.archives import command, draw_ring
from benchmarks.ray_clusters import RayCluster, ray_cluster

_SCORE = """
import sys
import ray
from ray.data import DataContext

model, source, out, address = sys.argv[1:]

class Score:
    def __init__(self, model):
        from pathlib import Path
        from anomaly.data import Limits
        from anomaly.inference import load_detector
        from anomaly.pipeline.score import Reading
        self.reading = Reading(load_detector(Path(model), device="cpu"), Limits(), num_threads=1)

    def __call__(self, batch):
        import pyarrow as pa
        from anomaly.pipeline.score import score_rows
        named = zip(batch["id"].to_pylist(), batch["image"].to_pylist())
        return pa.Table.from_pylist(list(score_rows(self.reading, named, 0.05)))

ray.init(address=address, log_to_driver=False, logging_level="ERROR")
DataContext.get_current().enable_progress_bars = False
data = ray.data.read_parquet(source).map_batches(
    Score, batch_format="pyarrow", batch_size=256, concurrency=2, num_cpus=1, fn_constructor_args=[model]
)
data.write_parquet(out)
"""
_RESUME = """
import sys
import ray
from ray.data import DataContext
from ray.data.checkpoint import CheckpointConfig

source, checkpoints, out, address = sys.argv[1:]
ray.init(address=address, log_to_driver=False, logging_level="ERROR")
context = DataContext.get_current()
context.enable_progress_bars = False
context.checkpoint_config = CheckpointConfig("id", checkpoints, delete_checkpoint_on_success=False)
ray.data.read_parquet(source).map_batches(lambda batch: batch).write_parquet(out)
"""


def main() -> int:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/mnist"))
    parser.add_argument("--shards", type=int, default=20)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--ids", default="100000,1000000")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, ray_cluster(2, 2) as cluster:
        source = write_parquets(Path(temporary) / "src", options.shards, options.images)
        print(f"{options.shards * options.images:,} images\n")
        print("| by | s | MiB beyond the idle cluster, at most |\n|---|---|---|")
        tasks = command(options.model, source, Path(temporary) / "tasks", "--workers", 2, "--ray", cluster.address)
        print(_line("anomaly archive --ray", cluster, tasks), flush=True)
        words = [options.model.resolve(), source, Path(temporary) / "data", cluster.address]
        print(_line("Ray Data", cluster, _python(_SCORE, *words)), flush=True)
        print("\n| ids in Ray Data's checkpoints | s | MiB beyond the idle cluster, at most |\n|---|---|---|")
        for num in map(int, options.ids.split(",")):
            folder = Path(temporary) / f"ids-{num}"
            ids = pa.table({"id": [f"shard-{n // 500:06d}.tar/{n:09d}.png" for n in range(num)]})
            for name in ("src", "checkpoints"):
                (folder / name).mkdir(parents=True)
                parquet.write_table(ids if name == "checkpoints" else ids.slice(0, 1000), folder / name / "0.parquet")
            words = [folder / "src", folder / "checkpoints", folder / "out", cluster.address]
            print(_line(f"{num:,}", cluster, _python(_RESUME, *words)), flush=True)
    return 0


def write_parquets(folder: Path, num_shards: int, num_images: int) -> Path:
    """So many Parquet files of pictures with their ids."""
    folder.mkdir(parents=True)
    for shard in range(num_shards):
        numbers = np.arange(shard * num_images, (shard + 1) * num_images).tolist()
        table = {"id": [f"{n:09d}" for n in numbers], "image": [draw_ring(n) for n in numbers]}
        parquet.write_table(pa.table(table), folder / f"shard-{shard:05d}.parquet")
    return folder


def _python(program: str, *words: object) -> list[str]:
    return [sys.executable, "-c", program, *map(str, words)]


def _line(what: str, cluster: RayCluster, words: list[str]) -> str:
    started = time.monotonic()
    with _most_memory(cluster) as most:
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        most["driver"] = process.pid
        _, told = process.communicate()
    assert process.returncode == 0, told
    return f"| {what} | {time.monotonic() - started:.1f} | {most['mib']:,.0f} |"


@contextmanager
def _most_memory(cluster: RayCluster) -> Iterator[dict[str, Any]]:
    """The memory of the cluster's processes and the driver, without what they share, beyond that before."""
    before = _unshared_mib(cluster.processes())
    most: dict[str, Any] = {"mib": 0.0, "driver": None}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            processes = cluster.processes()
            with suppress(psutil.Error):
                processes += [psutil.Process(most["driver"])] if most["driver"] else []
            most["mib"] = max(most["mib"], _unshared_mib(processes) - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield most
    finally:
        over.set()
        watcher.join()


def _unshared_mib(processes: list[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        with suppress(psutil.Error):
            total += process.memory_full_info().uss / 2**20
    return total


if __name__ == "__main__":
    sys.exit(main())
