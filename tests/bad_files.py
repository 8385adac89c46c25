"""Bad and awkward image files, to be put through everything that takes images.

Every name has an image's suffix, so a folder of them yields a row for each. A value says what is expected: "ok", the
file is scored, or "error", it gets a row with a reason.
"""

import gzip
import struct
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIDE = 24
_ORIENTATION = 0x0112


def make_bad_files(folder: Path) -> dict[str, str]:
    """Writes the files into `folder`, and returns their names with "ok" or "error"."""
    folder.mkdir(parents=True, exist_ok=True)
    expected: dict[str, str] = {}
    for files, outcome in ((_awkward(), "ok"), (_broken(), "error")):
        for name, data in files.items():
            (folder / name).write_bytes(data)
            expected[name] = outcome
    return expected | _make_non_files(folder)


def grey_pixels() -> NDArray[np.uint8]:
    """A picture without symmetry, so that no turn of it looks like another."""
    rows, columns = np.mgrid[:_SIDE, :_SIDE]
    return np.asarray(rows * 3 + columns * 7, np.uint8)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """One PNG chunk with its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_header(width: int, height: int) -> bytes:
    """The start of an 8-bit grey PNG of any size, and a few pixels."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(bytes(100))) + png_chunk(b"IEND", b"")


def bmp_header(width: int, height: int) -> bytes:
    """An 8-bit BMP of any size without pixels."""
    return struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 154, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(
        100
    )


def tiff_header(width: int, height: int, *more_entries: tuple[int, int]) -> bytes:
    """An 8-bit grey TIFF of any size with 100 pixels."""
    entries = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, height), (279, 100)]
    entries += more_entries
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return struct.pack("<2sHI", b"II", 42, 108) + bytes(100) + struct.pack("<H", len(entries)) + directory + bytes(4)


def _image(mode: str = "L") -> Image.Image:
    return Image.fromarray(grey_pixels()).convert(mode)


def _saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def _awkward() -> dict[str, bytes]:
    """Files that can be shown, if one takes care."""
    return _awkward_modes() | _awkward_containers()


def _awkward_modes() -> dict[str, bytes]:
    wide = Image.fromarray(grey_pixels().astype(np.uint16) * 257)
    see_through = _image("RGBA")
    see_through.putalpha(Image.fromarray(np.flipud(grey_pixels())))
    palette = _image("RGB").quantize(8)
    return {
        "16-bit-grey.png": _saved(wide, "PNG"),
        "16-bit-grey.tif": _saved(wide, "TIFF"),
        "1-bit.png": _saved(_image("1"), "PNG"),
        "1-bit.bmp": _saved(_image("1"), "BMP"),
        "1-bit-fax.tif": _saved(_image("1"), "TIFF", compression="group4"),
        "cmyk.jpg": _saved(_image("CMYK"), "JPEG"),
        "cmyk.tif": _saved(_image("CMYK"), "TIFF"),
        "grey-alpha.png": _saved(see_through.convert("LA"), "PNG"),
        "alpha.png": _saved(see_through, "PNG"),
        "alpha.webp": _saved(see_through, "WEBP", lossless=True),
        "alpha.tiff": _saved(see_through, "TIFF"),
        "palette.png": _saved(palette, "PNG"),
        "palette.bmp": _saved(palette, "BMP"),
        "palette-one-transparent.png": _saved(palette, "PNG", transparency=0),
        "palette-transparent.png": _saved(palette, "PNG", transparency=bytes(range(0, 256, 32))),
        "colour-key.png": _saved(_image("RGB"), "PNG", transparency=(0, 0, 0)),
        "lzw.tif": _saved(_image("RGB"), "TIFF", compression="tiff_lzw"),
        "big-endian.tif": _saved(_image().convert("I;16B"), "TIFF"),
    }


def _awkward_containers() -> dict[str, bytes]:
    frames = [_image(), Image.new("L", (_SIDE, _SIDE)), _image("1").convert("L")]
    several: dict[str, object] = {"save_all": True, "append_images": frames[1:]}
    exif = Image.Exif()
    exif[_ORIENTATION] = 6
    jpeg, png = _saved(_image(), "JPEG"), _saved(_image(), "PNG")
    return {
        "animated.png": _saved(frames[0], "PNG", **several),
        "animated.webp": _saved(frames[0], "WEBP", **several),
        "pages.tif": _saved(frames[0], "TIFF", **several),
        "rotated.jpg": _saved(_image(), "JPEG", exif=exif),
        "rotated.png": _saved(_image(), "PNG", exif=exif),
        "rotated.webp": _saved(_image(), "WEBP", exif=exif),
        "rotated.tif": _saved(_image(), "TIFF", exif=exif),
        "exif-nonsense.jpg": _saved(_image(), "JPEG", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff" + bytes(20)),
        "exif-nowhere.tif": tiff_header(10, 10, (34665, 9_999)),
        "progressive.jpg": _saved(_image("RGB"), "JPEG", progressive=True),
        "really-a-jpeg.png": jpeg,
        "really-a-png.jpg": png,
        "really-a-webp.bmp": _saved(_image(), "WEBP"),
        "CAPITALS.PNG": png,
        "comma, quote' and ünïcode ✓.png": png,
        "without-end.png": png[:-12],
        "without-end.jpg": jpeg[:-2],
        "grey.pgm": _saved(_image(), "PPM"),
        "colour.ppm": _saved(_image("RGB"), "PPM"),
        "trailing-bytes.png": png + b"something else",
        "trailing-bytes.jpg": jpeg + b"something else",
        "one-pixel.png": _saved(Image.new("L", (1, 1)), "PNG"),
        "one-row.png": _saved(Image.new("L", (500, 1), 9), "PNG"),
        "one-column.bmp": _saved(Image.new("L", (1, 500), 9), "BMP"),
    }


def _broken() -> dict[str, bytes]:
    """Files that cannot be shown."""
    return _truncated() | _damaged() | _giants() | _other_formats()


def _truncated() -> dict[str, bytes]:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8))
    whole = {
        "jpg": _saved(noise, "JPEG"),
        "png": _saved(noise, "PNG"),
        "webp": _saved(noise, "WEBP"),
        "bmp": _saved(noise, "BMP"),
        "tif": _saved(noise, "TIFF", compression="tiff_lzw"),
    }
    cuts = {
        f"truncated-{share}.{suffix}": data[: len(data) * share // 100]
        for suffix, data in whole.items()
        for share in (1, 10, 50, 95)
    }
    ends = {"truncated-pixels.png": whole["png"][:-13], "signature-only.png": whole["png"][:8]}
    return cuts | ends | {"signature-only.jpg": b"\xff\xd8\xff", "signature-only.webp": b"RIFF\x00\x00\x00\x00WEBP"}


def _damaged() -> dict[str, bytes]:
    png = _saved(_image(), "PNG")
    pixels_at = png.index(b"IDAT") + 4
    return {
        "empty.png": b"",
        "empty.jpg": b"",
        "checksum.png": png[:-16] + bytes(4) + png[-12:],
        "flipped-bit.png": _flip(png, pixels_at + 20),
        "header-checksum.png": _flip(png, 18),
        "zeros-after-signature.png": png[:8] + bytes(200),
        "zeros-after-signature.jpg": b"\xff\xd8\xff\xe0" + bytes(200),
        "zeros-after-signature.tif": b"II*\x00" + bytes(200),
        "directory-in-a-circle.tif": b"II*\x00\x08\x00\x00\x00\x00\x00\x08\x00\x00\x00",
        "0x0.png": png_header(0, 0),
        "0x0.bmp": bmp_header(0, 0),
        "0x0.tif": tiff_header(0, 0),
        "float.tif": _saved(Image.fromarray(np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)), "TIFF"),
        "32-bit.tif": _saved(Image.fromarray(np.arange(64, dtype=np.int32).reshape(8, 8)), "TIFF"),
        "ends-early.bmp": bmp_header(64, 64),
    }


def _giants() -> dict[str, bytes]:
    side = 100_000
    webp = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (side - 1).to_bytes(3, "little") * 2
    return {
        "giant.png": png_header(side, side),
        "giant.bmp": bmp_header(side, side),
        "giant.tif": tiff_header(side, side),
        "giant.webp": b"RIFF" + struct.pack("<I", 4 + len(webp)) + b"WEBP" + webp,
        "large.png": png_header(9_000, 9_000),
        "overflow.png": png_header(2**31 - 1, 2**31 - 1),
        "overflow.bmp": bmp_header(2**31 - 1, 2**31 - 1),
    }


def _other_formats() -> dict[str, bytes]:
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("image.png", _saved(_image(), "PNG"))
    return {
        "text.png": b"this is not an image\n",
        "bm-text.bmp": b"BM is how this sentence begins, and then it goes on.\n" * 4,
        "html.jpg": b"<!doctype html><title>404</title><p>Not found",
        "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        "zip.jpg": archive.getvalue(),
        "gzip.png": gzip.compress(_saved(_image(), "PNG"), mtime=0),
        "pdf.tif": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n",
        "animation.gif": _saved(_image("P"), "GIF"),
        "gif-inside.png": _saved(_image("P"), "GIF"),
        "pam.pgm": b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nTUPLTYPE GRAYSCALE\nENDHDR\n\x07",
        "icon.bmp": _saved(_image(), "ICO"),
        "sound.webp": b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(40),
        "pickle.png": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94.",
        "zeros.jpg": bytes(1000),
    }


def _make_non_files(folder: Path) -> dict[str, str]:
    """What has an image's name but is no file with a picture."""
    (folder / "directory.png").mkdir(exist_ok=True)
    links = {"dangling-link.png": "nowhere.png", "link-to-itself.png": "link-to-itself.png", "link.png": "palette.png"}
    for name, target in links.items():
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(target)
    unreadable = folder / "unreadable.png"
    unreadable.unlink(missing_ok=True)
    unreadable.write_bytes(_saved(_image(), "PNG"))
    unreadable.chmod(0)
    return {
        "directory.png": "error",
        "dangling-link.png": "error",
        "link-to-itself.png": "error",
        "link.png": "ok",
        "unreadable.png": "ok" if _is_readable(unreadable) else "error",  # to root every file is readable
    }


def _is_readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except PermissionError:
        return False
    return True


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
