"""Where the time goes on an image's way: `anomaly score` on files step by step, and `POST /score` by what it measures.

    OMP_NUM_THREADS=1 python -m benchmarks.profile_paths [--models models] [--images 2000] [--photographs 8]

Files: 28 × 28 grey and 64 × 64 RGB PNGs, and JPEGs of 12 megapixels (4000 × 3000). Each step runs alone; the last
column is the use case itself, with its threads and without its start-up. All are microseconds of all processors.
The service: one image size after another, from 32 clients (12 megapixels: 4); its own histograms tell the steps.

Last: JPEGs decoded at the smallest scale that suffices, as PIL's `draft` has it, beside the whole: what that would gain
and change.
"""

import argparse
import tempfile
import time
from collections import deque
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image

from anomaly.data import Limits, Picture, Pixels, decode, preprocess, read_all, to_array
from anomaly.data.decoding.limits import DEFAULT_LIMITS, bytes_of
from anomaly.inference import Detector, load_detector
from anomaly.pipeline.results import write_results
from anomaly.pipeline.score import score_paths
from benchmarks.drawings import draw_line, draw_texture, write_files
from benchmarks.load import send
from benchmarks.serving import Program, serving

ROUNDS = 3
PHOTOGRAPH = (4000, 3000)
MOST_DECODED = 2**30  # bytes: 500 photographs at once would be 18 GB
HEAD = f"{'':22}{'file':>9}{'decode':>9}{'resize':>9}{'evidence':>10}{'rows':>9}{'sum':>9}{'command':>9}"


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=Path("models"), help="the folder with the bundle `mnist`")
    parser.add_argument("--images", type=int, default=2000, help="small images")
    parser.add_argument("--photographs", type=int, default=8, help="of 12 megapixels")
    options = parser.parse_args()
    model = options.models / "mnist"
    with tempfile.TemporaryDirectory() as temporary:
        folders = _draw(Path(temporary), options)
        detector = load_detector(model, device="cpu")
        print(f"anomaly score, core-µs an image\n{HEAD}")
        for name in ("28 × 28", "64 × 64", "12 megapixels"):
            print(_step_by_step(name, folders[name], detector, model, Path(temporary) / "out.csv"), flush=True)
        print(f"\nPOST /score\n{'':16}{'images/s':>9}{'core-ms':>9}{'decode ms':>11}{'networks ms':>13}{'p50 ms':>9}")
        with serving(options.models, default_model="mnist") as server:
            for name, clients in (("28 × 28", 32), ("256 × 256", 32), ("12 megapixels", 4)):
                print(_served(name, folders[name], server, clients), flush=True)
        print(_at_scale(folders["12 megapixels"], detector))


def _draw(root: Path, options: argparse.Namespace) -> dict[str, Path]:
    folders = {name: root / name for name in ("28 × 28", "64 × 64", "256 × 256", "12 megapixels")}
    write_files(folders["28 × 28"], options.images, draw_line, 28)
    write_files(folders["64 × 64"], options.images // 4, _draw_colour, 64)
    write_files(folders["256 × 256"], 100, draw_texture, 256)
    folders["12 megapixels"].mkdir()
    for number in range(options.photographs):
        (folders["12 megapixels"] / f"{number:03d}.jpg").write_bytes(_photograph(number))
    return folders


def _draw_colour(number: int, side: int) -> bytes:
    grey = Image.open(BytesIO(draw_texture(number, side)))
    stream = BytesIO()
    Image.merge("RGB", [grey, grey.transpose(Image.Transpose.ROTATE_90), grey.point(lambda v: 255 - v)]).save(
        stream, "PNG"
    )
    return stream.getvalue()


def _photograph(number: int) -> bytes:
    """Soft blotches with some noise, at quality 90."""
    rng = np.random.default_rng(number)
    blotches = Image.fromarray(rng.integers(40, 220, (100, 130, 3), dtype=np.uint8))
    soft = np.asarray(blotches.resize(PHOTOGRAPH, Image.Resampling.BICUBIC)).astype(np.int16)
    noisy = soft + rng.integers(-8, 9, (*PHOTOGRAPH[::-1], 1), dtype=np.int16)
    stream = BytesIO()
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def _step_by_step(name: str, folder: Path, detector: Detector, model: Path, out: Path) -> str:
    paths = sorted(map(str, folder.iterdir()))
    config = detector.preprocess
    data = [Path(path).read_bytes() for path in paths]
    num_seen = max(MOST_DECODED // to_array(decode(data[0], name=name)).nbytes, 1)
    seen = [decode(each, name=name) for each in data[:num_seen]]
    pictures = list(read_all(((path, Path(path)) for path in paths), config))
    pixels = np.stack([picture.pixels for picture in pictures if isinstance(picture, Picture)])
    evidence = detector.evidence(pixels)
    columns = {"path": str, "score": float, "is_anomalous": bool} | dict.fromkeys(evidence.terms, float)
    row = {term: float(values[0]) for term, values in evidence.terms.items()}

    def rows() -> None:
        scores = evidence.score.tolist()
        judged = (
            {"path": path, "score": score, "is_anomalous": detector.calibration.judge(score, 0.05).is_anomalous, **row}
            for path, score in zip(paths, scores, strict=True)
        )
        write_results(judged, out, columns)

    steps = [
        _us(lambda: [bytes_of(Path(path), name, DEFAULT_LIMITS) for path in paths], len(paths)),
        _us(lambda: deque((decode(each, name=name, limits=Limits()) for each in data), maxlen=0), len(data)),
        _us(lambda: [preprocess(each, config) for each in seen], len(seen)),
        _us(lambda: [detector.evidence(pixels[i : i + 256]) for i in range(0, len(pixels), 256)], len(pixels)),
        _us(rows, len(paths)),
    ]
    one = _us(lambda: score_paths(model, paths[:1], out, device="cpu"), 1)
    whole = (_us(lambda: score_paths(model, paths, out, device="cpu"), 1) - one) / len(paths)
    widths = (9, 9, 9, 10, 9, 9, 9)
    figures = zip((*steps, sum(steps), whole), widths, strict=True)
    return f"{name:22}" + "".join(f"{figure:{width},.0f}" for figure, width in figures)


def _served(name: str, folder: Path, server: Program, clients: int) -> str:
    options = ("--seconds", 4, "--path", "/score?model=mnist", "--clients", clients)
    send(server.port, folder, *options)
    sums = ("anomaly_decode_seconds_sum", "anomaly_inference_seconds_sum")
    before, cpu_s = [server.metric(each) for each in sums], server.cpu_s()
    load = send(server.port, folder, *options)
    num = len(load.scored)
    cpu_ms = 1e3 * (server.cpu_s() - cpu_s) / num
    steps = [1e3 * (server.metric(each) - old) / num for each, old in zip(sums, before, strict=True)]
    return f"{name:16}{load.rate:9,.1f}{cpu_ms:9.2f}{steps[0]:11.2f}{steps[1]:13.2f}{load.percentile_ms(50):9.1f}"


def _at_scale(folder: Path, detector: Detector) -> str:
    """A JPEG's own scales: each is the picture that its coarser frequencies make."""
    data = [path.read_bytes() for path in sorted(folder.iterdir())[:4]]
    side = detector.preprocess.size

    def whole(each: bytes) -> Pixels:
        return preprocess(simplejpeg.decode_jpeg(each, "RGB"), detector.preprocess)

    def scaled(each: bytes) -> Pixels:
        smallest = simplejpeg.decode_jpeg(each, "RGB", min_height=side, min_width=side, min_factor=1)
        return preprocess(smallest, detector.preprocess)

    times = [
        _us(lambda: [whole(each) for each in data], len(data)),
        _us(lambda: [scaled(each) for each in data], len(data)),
    ]
    pairs = [[how(each) for each in data] for how in (whole, scaled)]
    differences = np.abs(np.stack(pairs[0]).astype(int) - np.stack(pairs[1]))
    scores = [detector.evidence(np.stack(each)).score for each in pairs]
    return (
        f"\nJPEG, decoded and resized: {times[0] / 1e3:.0f} ms whole, {times[1] / 1e3:.0f} ms at its own scale; "
        f"{(differences > 0).mean():.0%} of the pixels differ, by {differences.max()} at most; "
        f"scores by {np.abs(scores[1] / scores[0] - 1).max():.1e} at most"
    )


def _us(program: Callable[[], object], num_images: int) -> float:
    """The best of a few rounds, in microseconds of all processors an image: they hardly depend on what else runs."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        program()
        best = min(best, time.process_time() - started)
    return 1e6 * best / num_images


if __name__ == "__main__":
    main()
