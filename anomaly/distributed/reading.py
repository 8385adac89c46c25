"""The images of a shard, one after another, as bytes with their names: SHARD/NAME.

Nothing is unpacked onto a disk, so it does no harm what the names in a shard are. In a folder, masks and pictures that
this program has drawn are left out, by the rules of `anomaly score`. A tar or Parquet file was packed by somebody who
chose what is in it.
"""

import tarfile
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from lzma import LZMAError
from pathlib import Path
from typing import Any, Self

from anomaly.data import Limits, Named
from anomaly.data.decoding.limits import too_many_bytes
from anomaly.data.files.listing import is_image_name
from anomaly.data.files.outputs import is_marked, is_output_name
from anomaly.data.masks.finding import masks_in_folder
from anomaly.distributed.shards import Shard, ShardKind, folder_files
from anomaly.distributed.storage import Entry, system_reason
from anomaly.errors import DataError, ImageError, first_line

_BATCH = 64  # rows of a Parquet file at once
_PREFERRED = ("image", "img", "jpg", "png", "jpeg", "bytes")


def images_of(shard: Shard, limits: Limits) -> Iterator[Named]:
    """All images of a shard, in the order in which they lie there.

    A larger file than the limits allow is not read.

    Raises:
        DataError: the shard is damaged, or cannot be read. Then none of its images count.
    """
    try:
        match shard.kind:
            case ShardKind.TAR:
                yield from _in_tar(shard, limits)
            case ShardKind.PARQUET:
                yield from _in_parquet(shard)
            case ShardKind.FOLDER:
                yield from _in_folder(shard, limits)
    except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error, LZMAError) as error:  # pyarrow's are of these
        reason = first_line(error) or type(error).__name__
        raise DataError(f"{shard.name}: the shard is damaged or cannot be read ({reason})") from error


class _StrictHeader(tarfile.TarInfo):
    """tarfile takes a damaged header after the first, or a file that was cut off there, for the end of the archive."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # two empty blocks: the end
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"{error} at byte {tarfile_.offset:,}; it may be cut off there") from error


def _in_tar(shard: Shard, limits: Limits) -> Iterator[Named]:
    """Regular files with an image's suffix; links, folders and other files are no images."""
    with (
        shard.storage.stream(shard.path) as file,
        tarfile.open(fileobj=file, mode="r|*", tarinfo=_StrictHeader) as archive,
    ):
        for member in archive:
            archive.members = []  # type: ignore[attr-defined]  # or it would keep the headers of all
            if not member.isreg() or not is_image_name(member.name):
                continue
            name = f"{shard.name}/{member.name}"
            if member.size > limits.max_bytes:
                yield name, too_many_bytes(member.size, name, limits)
                continue
            content = archive.extractfile(member)
            assert content is not None
            data = content.read()
            if len(data) < member.size:
                raise tarfile.ReadError("unexpected end of data")
            yield name, data


def _in_parquet(shard: Shard) -> Iterator[Named]:
    """A column of bytes, or of Hugging Face's structs {bytes, path}. Rows without a path have their number as name."""
    from pyarrow import parquet

    with shard.storage.open(shard.path) as file:
        table = parquet.ParquetFile(file)
        column = _image_column(shard, table.schema_arrow)
        number = 0
        for batch in table.iter_batches(_BATCH, columns=[column]):
            for value in batch.column(0).to_pylist():
                data, path = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, None)
                name = f"{shard.name}/{path or f'{number:06d}'}"
                yield name, data if data is not None else ImageError(f"{name}: the row has no bytes of an image")
                number += 1


def _image_column(shard: Shard, schema: Any) -> str:
    """The one that can hold images; of several, that with a usual name."""
    from pyarrow import types

    def is_binary(kind: Any) -> bool:
        return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))

    def holds_bytes(kind: Any) -> bool:
        if types.is_struct(kind):
            return any(field.name == "bytes" and is_binary(field.type) for field in kind)
        return is_binary(kind)

    found = [field.name for field in schema if holds_bytes(field.type)]
    usual = [name for name in _PREFERRED if name in found]
    if len(found) == 1 or usual:
        return str((usual or found)[0])
    raise DataError(
        f"{shard.name}: expected a column `image` of bytes, or of {{bytes, path}}; its columns are "
        f"{', '.join(schema.names)}"
    )


def _in_folder(shard: Shard, limits: Limits) -> Iterator[Named]:
    entries = folder_files(shard)
    masks = _masks_of(shard, entries, limits)
    for entry in entries:
        if entry.name in masks:
            continue
        try:
            data = _content(shard, limits, entry)
        except ImageError as error:
            yield f"{shard.name}/{entry.name}", error
            continue
        if not (is_output_name(entry.name) and is_marked(data)):
            yield f"{shard.name}/{entry.name}", data


def _masks_of(shard: Shard, entries: Sequence[Entry], limits: Limits) -> set[str]:
    """The names of the masks. Only files whose names, or whose folder's, may be masks' are read for that."""
    by_path = {Path(entry.name): entry for entry in entries if not is_output_name(entry.name)}
    read = partial(_content, shard, limits)
    masks = masks_in_folder(list(by_path), shard.mask_folder, lambda path: read(by_path[path]))
    return {by_path[path].name for path in masks}


def _content(shard: Shard, limits: Limits, entry: Entry) -> bytes:
    """Raises ImageError where the file is too large or cannot be read."""
    name = f"{shard.name}/{entry.name}"
    if entry.num_bytes > limits.max_bytes:
        raise too_many_bytes(entry.num_bytes, name, limits)
    try:
        with shard.storage.stream(f"{shard.path}/{entry.name}" if shard.path else entry.name) as file:
            return file.read()
    except (DataError, OSError) as error:
        reason = system_reason(error.__cause__ or error)  # a row names no machine's paths
        raise ImageError(f"{name}: cannot be read ({reason})") from error
