"""DATA, as the command line takes it: recognises the form and opens it.

digits                              scikit-learn's digits, built in; a folder of that name is ./digits
a file ending in .csv               a manifest (`manifest`)
a folder with MNIST's IDX files     `idx`
any other folder                    images, classes, or MVTec's layout (`trees`)
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from anomaly.data.datasets.digits import open_digits
from anomaly.data.datasets.grouping import with_parts
from anomaly.data.datasets.idx import is_idx_folder, open_idx
from anomaly.data.datasets.manifest import open_manifest
from anomaly.data.datasets.samples import Dataset, class_names
from anomaly.data.datasets.trees import open_tree, open_tree_of_defects
from anomaly.errors import DataError, reason_of
from anomaly.files import given_path


def open_dataset(data: str, *, normal: Sequence[str] = (), groups: str = "", defects: str | None = None) -> Dataset:
    """The data set that `data` names, with the classes that `normal` names as its normal ones.

    With `defects` it has more labelled defects, from there (see `open_defects`). With `groups` it knows which part each
    normal image shows (see `with_parts`).

    Raises:
        DataError: nothing is there, its form is not understood, or `normal` or `groups` does not fit it; or there are
            no labelled defects in `defects`.
        UsageError: `data` is empty; `groups` is no regular expression, or there is no manifest to have the column; or
            `normal` is no list of texts.
    """
    dataset = _open(data, class_names(normal))
    if defects is not None:
        dataset = dataset.with_defects(open_defects(defects))
    return with_parts(dataset, groups) if groups else dataset


def open_defects(data: str) -> Dataset:
    """Labelled defects beside a data set: a folder of defective images alone, or a manifest.

    Raises:
        DataError: nothing is there, its form is not understood, or the folder may have other images as well.
        UsageError: `data` is empty.
    """
    path = given_path(data, "defects")
    if path.is_dir():
        with _readable(data):
            return open_tree_of_defects(path)
    if _is_manifest(path):
        return open_manifest(path, ())
    raise DataError(f"{data}: {_what_is(path)}; expected a folder of defective images, or a manifest.csv")


def _open(data: str, normal: Sequence[str]) -> Dataset:
    if data == "digits":
        return open_digits(normal)
    path = given_path(data, "DATA")
    if path.is_dir():
        with _readable(data):
            return open_idx(path, normal) if is_idx_folder(path) else open_tree(path, normal)
    if _is_manifest(path):
        return open_manifest(path, normal)
    raise DataError(
        f"{data}: {_what_is(path)}; expected a folder of images, a folder of IDX files, a manifest.csv, or digits"
    )


@contextmanager
def _readable(data: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or data
        raise DataError(
            f"{where}: cannot be read ({reason_of(error)}); check the permissions of its folders"
        ) from error


def _is_manifest(path: Path) -> bool:
    return path.suffix.lower() == ".csv" and path.is_file()


def _what_is(path: Path) -> str:
    return "is a file" if path.exists() else "does not exist"
