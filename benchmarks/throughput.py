"""How much of the machine reaches the images: the service beside the same images through `Detector.score`, in one run.

    python -m benchmarks.throughput --side 28 [--models models] [--litserve PYTHON]
    python -m benchmarks.throughput --side 256 [--litserve PYTHON]

32 clients, in a program of their own, post PNG files in a closed loop. In this process `Detector.score` reads and
scores the same files. Beside them stand a plain FastAPI app that scores one image at a time and, if an interpreter that
has it is given, LitServe, on the same model. At 28 × 28 pixels the model is the shipped one; for 256 × 256 a small one
is trained on drawn textures first, unless a folder with such a model is given.

Core-ms are milliseconds of all processors used by the server, or by this process, an image.
"""

import argparse
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.drawings import draw_line, draw_texture, train_on_textures, write_files
from benchmarks.load import Load, send
from benchmarks.serving import Program, serving, serving_with

NUM_FILES = {28: 2000, 256: 200}
WARM_UP_S = 2


@dataclass(frozen=True)
class Measured:
    """One line of the table."""

    name: str
    rate: float
    core_ms: float
    load: Load | None = None
    batch: float | None = None

    def __str__(self) -> str:
        text = f"{self.name:34} {self.rate:9,.1f} {self.core_ms:9.3f}"
        if self.load is None:
            return text
        generator_ms = 1e3 * self.load.cpu_s / len(self.load.scored)
        batch = f"{self.batch:7.1f}" if self.batch else "      –"
        times = f"{self.load.percentile_ms(50):7.1f} {self.load.percentile_ms(99):7.1f}"
        return f"{text} {batch} {times} {generator_ms:9.3f}"


def main() -> None:
    """Measure all, and print the table and the two ratios that count."""
    options = _options()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the server does, so that both run alike
    with tempfile.TemporaryDirectory() as temporary:
        models, name = _model(options, Path(temporary))
        folder = Path(temporary) / "images"
        write_files(folder, NUM_FILES[options.side], draw_line if options.side == 28 else draw_texture, options.side)
        print(f"{options.side} × {options.side}, {options.clients} clients\n")
        print(f"{'':34} images/s   core-ms   batch  p50 ms  p99 ms  client core-ms", flush=True)
        rows = []
        for row in _measure(options, models, name, folder):
            print(row, flush=True)
            rows.append(row)
    alone, ours = rows[0], rows[1]
    print(
        f"\nservice / in-process: {ours.rate / alone.rate:.2f} of the rate, {ours.core_ms - alone.core_ms:+.3f} core-ms"
    )
    for other in rows[3:]:
        print(f"service / {other.name}: {ours.rate / other.rate:.1f}")


def _measure(options: argparse.Namespace, models: Path, name: str, folder: Path) -> Iterator[Measured]:
    path, (port, other_port) = f"/score?model={name}", (_free_port(), _free_port())
    model = str(models / name)
    with serving(models, default_model=name) as ours:
        first = _in_process(Path(model), folder)
        raw, form = (
            _load(ours, "the service", folder, path, options),
            _load(ours, "…, as forms", folder, path, options, "--form"),
        )
        second = _in_process(Path(model), folder)
    yield max(first, second, key=lambda row: row.rate)
    yield raw
    yield form
    with serving_with([sys.executable, "-m", "benchmarks.plain_fastapi", model, str(port)], port) as plain:
        yield _load(plain, "plain FastAPI, one at a time", folder, "/score", options)
    if options.litserve:
        command = [options.litserve, "-m", "benchmarks.lit_server", model, str(other_port), str(options.clients)]
        with serving_with(command, other_port) as lit:
            yield _load(lit, "LitServe, batched", folder, "/score", options, "--form")


def _in_process(model: Path, folder: Path) -> Measured:
    from anomaly.inference import load_detector

    detector = load_detector(model, device="cpu")
    paths = sorted(map(str, folder.iterdir()))
    detector.score(paths[:64])
    started, cpu = time.perf_counter(), time.process_time()
    detector.score(paths)
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    return Measured("Detector.score, in this process", len(paths) / seconds, 1e3 * cpu_s / len(paths))


def _load(server: Program, name: str, folder: Path, path: str, options: argparse.Namespace, *more: str) -> Measured:
    common = ("--path", path, "--clients", options.clients, *more)
    send(server.port, folder, "--seconds", WARM_UP_S, *common)
    counts = [_batches(server)]
    cpu = server.cpu_s()
    load = send(server.port, folder, "--seconds", options.seconds, *common)
    cpu = server.cpu_s() - cpu
    counts.append(_batches(server))
    assert load.statuses.keys() == {200}, load.statuses
    images, batches = (after - before for before, after in zip(*counts, strict=True))
    return Measured(name, load.rate, 1e3 * cpu / len(load.scored), load, images / batches if batches else None)


def _batches(server: Program) -> tuple[float, float]:
    return server.metric("anomaly_batch_images_sum"), server.metric("anomaly_batch_images_count")


def _model(options: argparse.Namespace, temporary: Path) -> tuple[Path, str]:
    if options.side == 28:
        return options.models or Path("models"), "mnist"
    return options.models or train_on_textures(temporary / "models", options.side), "textures"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, choices=list(NUM_FILES), required=True)
    parser.add_argument("--models", type=Path, help="the folder with the bundle `mnist`, or `textures` at 256")
    parser.add_argument("--litserve", help="a Python that has litserve and this project")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=8.0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
