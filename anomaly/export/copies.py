"""The one reader, copied (law 3): the files of `anomaly` that the exported programs need, found by their imports.

Modules are copied byte by byte. Packages get an `__init__.py` of their own, because ours import what the folder must do
without. So a copied module may import from modules only, never names that a package's `__init__.py` gathers.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import anomaly

_ROOT = Path(anomaly.__file__).parents[1]  # of the modules' paths
_INIT = b'"""A part of the project that made this folder: what reads images, copied as it is there."""\n'


def copied_files(*programs: Path) -> dict[str, bytes]:
    """The modules that the programs import, directly or not, and their packages, by their paths in the folder."""
    files: dict[str, bytes] = {}
    waiting = [module for program in programs for module in _imported(program)]
    while waiting:
        module = waiting.pop()
        name = module.relative_to(_ROOT).as_posix()
        if name not in files:
            files[name] = module.read_bytes()
            packages = module.relative_to(_ROOT).parents
            files |= {(package / "__init__.py").as_posix(): _INIT for package in packages if package.name}
            waiting += _imported(module)
    return dict(sorted(files.items()))


def _imported(module: Path) -> Iterator[Path]:
    """The files of `anomaly` that a module imports from, wherever in it."""
    for node in ast.walk(ast.parse(module.read_bytes())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == anomaly.__name__:
            place = _ROOT.joinpath(*str(node.module).split("."))
            yield from (
                [place.with_suffix(".py")] if not place.is_dir() else (place / f"{n.name}.py" for n in node.names)
            )
