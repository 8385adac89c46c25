"""What the code must look like, whoever writes it: short files, short signatures, one class a name, late imports."""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(path for package in ("anomaly", "service") for path in (ROOT / package).rglob("*.py"))
MAX_LINES, MAX_PARAMETERS = 300, 12
HEAVY = ("torch", "matplotlib", "fastapi")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text("utf-8")))


def parameters_of(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> int:
    arguments = function.args
    several = [arguments.vararg, arguments.kwarg]
    names = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *(a for a in several if a)]
    return len([name for name in names if name.arg not in ("self", "cls")])


def test_there_is_something_to_look_at() -> None:
    assert len(FILES) > 100


def test_imports_have_no_cycle_wherever_they_stand() -> None:
    """Those inside functions count, too; those for types alone do not."""
    graph = grimp.build_graph("anomaly", "service", exclude_type_checking_imports=True, cache_dir=None)
    assert graph.count_imports() > 1000
    TopologicalSorter({module: graph.find_modules_directly_imported_by(module) for module in graph.modules}).prepare()


def test_no_file_is_longer_than_the_limit() -> None:
    lengths = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in FILES}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_no_function_has_more_parameters_than_a_reader_can_keep_in_mind() -> None:
    """A command's function has one for each option: those of the command line are left out."""
    many = {
        f"{name_of(path)}: {getattr(node, 'name', 'lambda')}": parameters_of(node)
        for path in FILES
        if ROOT / "anomaly" / "cli" not in path.parents
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if parameters_of(node) > MAX_PARAMETERS
    }
    assert many == {}


def test_no_two_classes_have_one_name() -> None:
    classes = Counter(node.name for path in FILES for node in nodes(path) if isinstance(node, ast.ClassDef))
    assert {name: num for name, num in classes.items() if num > 1} == {}


def is_fragment(docstring: str) -> bool:
    """Whether it is half a sentence, which a reader who is shown it alone cannot understand."""
    return docstring.startswith(("The same", "The reverse")) or docstring.split()[0] in ("As", "It", "Of", "Those")


def test_the_docstring_of_what_is_public_can_be_read_alone() -> None:
    fragments = {
        f"{name_of(path)}: {node.name}": docstring
        for path in FILES
        for node in nodes(path)
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_")
        if (docstring := ast.get_docstring(node)) and is_fragment(docstring)
    }
    assert fragments == {}


def aliases(path: Path) -> Iterator[tuple[str, str]]:
    """The names and values of a module's kinds of arrays and tuples, such as `Pixels = NDArray[np.uint8]`."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript):
            yield from ((ast.unparse(target), ast.unparse(node.value)) for target in node.targets)


def test_no_kind_of_array_is_named_twice() -> None:
    """Arrays of floats may be named by each layer: neighbours do not import each other."""
    named = Counter(alias for path in FILES for alias in aliases(path))
    assert {alias for alias, num in named.items() if num > 1 and alias[1] != "NDArray[np.float64]"} == set()


def ordered_with_a_threshold(path: Path) -> bool:
    orders = (ast.Gt, ast.GtE, ast.Lt, ast.LtE)
    return any(
        getattr(side, "id", getattr(side, "attr", None)) == "threshold"
        for node in nodes(path)
        if isinstance(node, ast.Compare) and any(isinstance(op, orders) for op in node.ops)
        for side in (node.left, *node.comparators)
    )


def test_one_place_decides_which_scores_are_above_the_threshold() -> None:
    """It is `calibration.is_above`; the graph that is exported has to decide for itself."""
    files = [*FILES, *(ROOT / "benchmarks").rglob("*.py")]
    assert [name_of(path) for path in files if ordered_with_a_threshold(path)] == ["anomaly/inference/onnx_export.py"]


def test_one_module_of_inference_asks_which_kind_of_networks_there_is() -> None:
    """What differs by kind stands in the files of that kind, and `kinds` chooses among them."""
    asking = [
        name_of(path)
        for path in FILES
        if ROOT / "anomaly" / "inference" in path.parents
        if any(isinstance(node, ast.Attribute) and node.attr == "has_generator" for node in nodes(path))
    ]
    assert asking == ["anomaly/inference/kinds.py"]


def imported_by(program: str, modules: tuple[str, ...]) -> set[str]:
    """Which of the modules a process of its own has imported after this program."""
    told = f"{program}\nimport sys\nprint('imported:', *(name for name in {modules!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", told], check=True, capture_output=True, text=True)
    return set(done.stdout.splitlines()[-1].split()[1:])


HELP = """
import sys
from anomaly.cli import app
sys.argv = ["anomaly", "--help"]
try:
    app()
except SystemExit as end:
    assert not end.code
"""


@pytest.mark.parametrize("program", ["import anomaly", "import anomaly.cli", HELP], ids=["library", "verbs", "help"])
def test_what_only_looks_does_not_wait_for_torch(program: str) -> None:
    assert imported_by(program, HEAVY) == set()


def test_scoring_needs_no_web_framework_and_draws_nothing(bigan_dir: Path) -> None:
    program = f"""
import numpy as np
from anomaly import load_detector
load_detector({str(bigan_dir)!r}, device="cpu").score(np.zeros((8, 8), np.uint8)).heatmap
"""
    others = ("fastapi", "starlette", "uvicorn", "service", "matplotlib")
    assert imported_by(program, ("torch", "sklearn", "scipy", *others)) == set()
