"""The reader that an export copies is ours, byte by byte, and complete."""

import ast
import sys
from pathlib import Path

import anomaly
from anomaly.export.copies import copied_files
from anomaly.export.folder import PROGRAMS

ROOT = Path(anomaly.__file__).parents[1]
FILES = copied_files(PROGRAMS / "predict.py", PROGRAMS / "model.py")
OPTIONAL = {"simplejpeg", "joblib"}


def imported_by(source: bytes) -> set[str]:
    """The first names of what a module imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


def test_every_module_is_byte_identical_and_packages_are_empty() -> None:
    assert {"anomaly/data/reader.py", "anomaly/data/preprocess.py", "anomaly/data/decoding/jpeg.py"} <= set(FILES)
    for name, data in FILES.items():
        if name.endswith("__init__.py"):
            assert [type(node) for node in ast.parse(data).body] == [ast.Expr]
        else:
            assert data == (ROOT / name).read_bytes()
    packages = {f"{Path(name).parent.as_posix()}/__init__.py" for name in FILES}
    assert packages <= set(FILES)


def test_nothing_is_needed_but_numpy_and_pillow() -> None:
    needed = set.union(*(imported_by(data) for data in FILES.values()))
    assert needed - set(sys.stdlib_module_names) - {"anomaly"} - OPTIONAL == {"numpy", "PIL"}


def test_what_they_import_of_each_other_is_there() -> None:
    """A name that only our own `__init__.py` has would be missing in the folder."""
    for name, data in FILES.items():
        for node in ast.walk(ast.parse(data)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("anomaly"):
                place = str(node.module).replace(".", "/")
                wanted = [f"{place}/{each.name}.py" for each in node.names]
                assert f"{place}.py" in FILES or set(wanted) <= set(FILES), (name, node.module)
