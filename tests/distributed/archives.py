"""Small archives in every layout, and what is written of them."""

import io
import json
import tarfile
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from benchmarks.archives import add, draw_ring

NUM = 8
MNIST = Path(__file__).parents[2] / "models" / "mnist"
OPTIONS = ("--workers", "1", "--device", "cpu")


def pictures(first: int, num: int = NUM) -> list[bytes]:
    return [draw_ring(number) for number in range(first, first + num)]


def write_folder(folder: Path, first: int) -> None:
    folder.mkdir(parents=True)
    for number, data in enumerate(pictures(first)):
        (folder / f"{number}.png").write_bytes(data)
    (folder / "notes.md").write_text("no image")


def write_tar(path: Path, first: int, mode: str = "w") -> None:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for number, data in enumerate(pictures(first)):
            add(archive, f"{first + number:06d}.png", data)
            add(archive, f"{first + number:06d}.json", b"{}")


def write_parquet(path: Path, first: int, *, struct: bool) -> None:
    images = pictures(first)
    column = [{"bytes": data, "path": f"{n}.png"} for n, data in enumerate(images)] if struct else images
    parquet.write_table(pa.table({"label": [0] * len(images), "image": column}), path)


def write_odd_tar(path: Path) -> None:
    """Names that would harm if they were unpacked, one name twice, links, a folder, and a picture that is cut off."""
    one, two, three = pictures(500, 3)
    with tarfile.open(path, "w") as archive:
        add(archive, "../../outside.png", one)
        add(archive, "/etc/absolute.png", two)
        add(archive, "twice.png", one)
        add(archive, "twice.png", three)
        for kind, name in (
            (tarfile.SYMTYPE, "link.png"),
            (tarfile.LNKTYPE, "hard.png"),
            (tarfile.DIRTYPE, "folder.png"),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "twice.png"
            archive.addfile(member)
        add(archive, "cut-off.png", two[: len(two) // 2])
        add(archive, "größe.PNG", three)


def write_every_layout(folder: Path) -> Path:
    folder.mkdir()
    write_tar(folder / "plain.tar", 0)
    write_tar(folder / "packed.tar.gz", 100, "w:gz")
    write_parquet(folder / "bytes.parquet", 200, struct=False)
    (folder / "deep").mkdir()
    write_parquet(folder / "deep" / "faces.parquet", 300, struct=True)
    write_folder(folder / "deep" / "line 1", 400)
    write_odd_tar(folder / "odd.tar")
    return folder


def broken_tars() -> dict[str, bytes]:
    """A tar that is damaged or cut off, in several ways."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for number, data in enumerate(pictures(0, 3)):
            add(archive, f"{number}.png", data)
    whole = stream.getvalue()
    second = 512 + -(-len(pictures(0, 1)[0]) // 512) * 512  # where the second header begins
    damaged = bytearray(whole)
    damaged[second + 100 : second + 160] = bytes(60)
    return {
        "empty": b"",
        "no-tar": b"this is no archive" * 100,
        "within-a-file": whole[: second + 600],
        "between-files": whole[:second],
        "within-a-header": whole[: second + 100],
        "damaged-header": bytes(damaged),
    }


def rows_of(path: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = parquet.read_table(path).to_pylist()
    return rows


def manifest_of(out: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((out / "_manifest.json").read_text())
    return content
