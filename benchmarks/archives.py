"""Archives of drawn pictures as tar shards, and what `anomaly archive` makes of them."""

import io
import subprocess
import sys
import tarfile
from hashlib import sha256
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIDE = 28


def write_tars(folder: Path, num_shards: int, num_images: int) -> Path:
    """So many tar files with so many pictures each, in webdataset's layout: KEY.png and KEY.cls."""
    folder.mkdir(parents=True)
    for shard in range(num_shards):
        with tarfile.open(folder / f"shard-{shard:05d}.tar", "w") as archive:
            for number in range(num_images):
                key = f"{shard:05d}{number:05d}"
                add(archive, f"{key}.png", draw_ring(shard * num_images + number))
                add(archive, f"{key}.cls", b"0")
    return folder


def draw_ring(number: int) -> bytes:
    """A PNG much like a handwritten 0: rings of several sizes and widths, each unlike any other."""
    rng = np.random.default_rng(number)
    picture = Image.new("L", (4 * SIDE, 4 * SIDE))
    x, y = rng.uniform(24, 36), rng.uniform(32, 42)
    ring = (56 - x, 56 - y, 56 + x, 56 + y)
    ImageDraw.Draw(picture).ellipse(ring, outline=int(rng.integers(180, 256)), width=int(rng.integers(8, 15)))
    turned = picture.rotate(rng.uniform(-40, 10)).resize((SIDE, SIDE), Image.Resampling.BOX)
    stream = io.BytesIO()
    turned.save(stream, "PNG")
    return stream.getvalue()


def add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    """One more file."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def command(model: Path, source: object, out: object, *options: object) -> list[str]:
    """`anomaly archive` of this installation."""
    program = str(Path(sys.executable).with_name("anomaly"))
    return [program, "archive", *(str(word) for word in (model, source, "--out", out, "--device", "cpu", *options))]


def run(model: Path, source: object, out: object, *options: object) -> "subprocess.CompletedProcess[str]":
    """Run it to its end."""
    return subprocess.run(command(model, source, out, *options), capture_output=True, text=True, check=False)


def hashes(folder: Path) -> dict[str, str]:
    """Of all results in a folder, by name."""
    found = sorted(folder.rglob("*.parquet"))
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in found}


def leftovers(folder: Path) -> list[str]:
    """Files that are neither results nor said to be there."""
    known = {"_plan.json", "_manifest.json"}
    return [p.name for p in folder.rglob("*") if p.is_file() and p.suffix != ".parquet" and p.name not in known]
