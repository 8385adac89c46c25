"""The documents name the recipes, fields, options, metrics and settings that there are; their commands can be typed."""

import ast
import json
import re
import shlex
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest

from anomaly.config import (
    AuxiliaryConfig,
    Config,
    FeaturesConfig,
    NetworkConfig,
    PreprocessConfig,
    ScoreConfig,
    SearchConfig,
    TrainingConfig,
)
from anomaly.config.places import MEASURED, evidence_names
from anomaly.evaluation import metrics_of, summarise
from anomaly.recipes import parse_overrides, read_recipe, recipe_names
from service.settings import Settings
from tests.cli.calls import command_of, verbs_of
from tests.evaluation.evaluations import make_evaluation, make_pixel

ROOT = Path(__file__).parents[1]
PAGES = {path.name: path.read_text("utf-8") for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}
SECTIONS: dict[str, type[Config]] = {
    "preprocess": PreprocessConfig,
    "network": NetworkConfig,
    "auxiliary": AuxiliaryConfig,
    "features": FeaturesConfig,
    "training": TrainingConfig,
    "search": SearchConfig,
    "score": ScoreConfig,
}
FIELDS = {f"{section}.{name}": field for section, kind in SECTIONS.items() for name, field in kind.model_fields.items()}
OPTIONS = {
    (" ".join(verb), option)
    for verb in verbs_of()
    for parameter in command_of(verb).params
    for option in parameter.opts
    if option.startswith("--")
}


def sh_lines(text: str) -> list[str]:
    """The lines of shell blocks without comments; one that ends in a backslash is joined with the next."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in (re.sub(r"(^|\s)#\s.*$", "", each).strip() for each in lines) if line]


COMMANDS = [
    (name, line.removeprefix("anomaly "))
    for name, text in PAGES.items()
    for line in [*sh_lines(text), *re.findall(r"The first row's: `(.*?)`", text)]
    if line.startswith("anomaly ")
]


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_the_guide_names_every_setting(name: str) -> None:
    assert f"ANOMALY_{name.upper()}`" in PAGES["guide.md"]


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_is_described(name: str) -> None:
    assert re.search(rf"^\| `{name}` \| \S.*\|$", PAGES["recipes.md"], re.MULTILINE)


def field_rows() -> dict[str, tuple[str, str]]:
    """Default and meaning of each field, as docs/recipes.md has them."""
    rows = re.findall(r"^\| `(\w+\.\w+)` \| (.*?) \| (.*) \|$", PAGES["recipes.md"], re.MULTILINE)
    return {name: (default, meaning) for name, default, meaning in rows}


def test_the_fields_described_are_those_there_are() -> None:
    assert list(field_rows()) == list(FIELDS)


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_has_its_default_and_a_meaning(name: str) -> None:
    """A default in italics follows from other fields, and is told in words."""
    default, meaning = field_rows()[name]
    assert len(meaning) > 10
    if not default.startswith("*"):
        actual = FIELDS[name].default
        value = default.strip("`")
        assert (value if isinstance(actual, str) else json.loads(value)) == (
            list(actual) if isinstance(actual, tuple) else actual
        )


def choices_of(annotation: Any) -> list[Any]:
    """What a field may be, where it is one of a few: of literals and enumerations, also within a union."""
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return list(annotation)
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    return [choice for part in get_args(annotation) for choice in choices_of(part)]


CHOICES = {name: found for name, field in FIELDS.items() if (found := choices_of(field.annotation))}


def test_choices_are_found_in_all_that_have_them() -> None:
    assert CHOICES["preprocess.resize"] == ["pad", "crop", "stretch", "whole"]
    assert CHOICES["preprocess.channels"] == [1, 3]
    assert CHOICES["features.places"] == ["anywhere", "near", "same", "aligned", "auto"]
    assert CHOICES["training.precision"] == ["fp32", "bf16", "auto"]
    assert CHOICES["preprocess.scale"] == ["auto"]
    assert len(CHOICES) > 15


@pytest.mark.parametrize(("name", "choice"), [(name, choice) for name, found in CHOICES.items() for choice in found])
def test_every_choice_of_a_field_is_in_its_row(name: str, choice: Any) -> None:
    """A word is set as code; a number stands by itself."""
    row = " | ".join(field_rows()[name])
    assert re.search(rf"`{choice}`" if isinstance(choice, str) else rf"(?<![\w.]){choice}(?![\w.])", row)


@pytest.mark.parametrize(("verb", "option"), sorted(OPTIONS))
def test_every_option_is_in_a_document(verb: str, option: str) -> None:
    """Each has its help too; here it is met where it is needed."""
    assert any(re.search(rf"(?<![\w-]){option}(?![\w-])", text) for text in PAGES.values())


@pytest.mark.parametrize("name", ["README.md", "guide.md", "recipes.md", "service.md"])
def test_no_document_names_an_option_that_is_gone(name: str) -> None:
    """In its commands, and in words set as code; `--set NAME` without a dot is the benchmarks' own."""
    prose = re.sub(r"^```.*?^```", "", PAGES[name], flags=re.DOTALL | re.MULTILINE)
    spans = [span for span in re.findall(r"`([^`\n]+)`", prose) if span.startswith(("anomaly ", "--"))]
    spans = [span for span in spans if not re.search(r"--set \w+( |$)", span)]
    lines = [line for line in sh_lines(PAGES[name]) if line.startswith("anomaly ")]
    named = {option for code in [*spans, *lines] for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", code)}
    assert len(named) > 2
    assert named <= {option for _, option in OPTIONS} | {"--help"}


def test_the_guide_describes_the_terms_of_places() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PAGES["guide.md"], re.MULTILINE)
    assert set(evidence_names(len(MEASURED), is_refined=True)) <= set(rows)


def test_the_guide_describes_every_metric() -> None:
    evaluation = make_evaluation(pixel=make_pixel())
    for key in metrics_of(evaluation, summarise(evaluation)):
        assert re.search(rf"^\|[^|]*`{key}`[^|]*\| \S", PAGES["guide.md"], re.MULTILINE), key


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_commands_are_understood(page: str, command: str) -> None:
    """Options and recipes there are, fields that can be set."""
    words = shlex.split(command)
    verb = max((each for each in verbs_of() if tuple(words[: len(each)]) == each), key=len)
    assert verb
    given = command_of(verb).make_context(verb[-1], words[len(verb) :]).params
    if verb == ("train",):
        parse_overrides(given["set_"] or ())
        if given["recipe"] != "auto" and not given["recipe"].endswith(".toml"):
            assert read_recipe(given["recipe"])


def test_there_are_commands_to_understand() -> None:
    assert len(COMMANDS) > 40
    assert {page for page, _ in COMMANDS} >= {"README.md", "recipes.md", "guide.md", "lectures.md", "benchmarks.md"}


@pytest.mark.parametrize("name", PAGES)
def test_python_is_python(name: str) -> None:
    for program in re.findall(r"^```python\n(.*?)^```", PAGES[name], flags=re.DOTALL | re.MULTILINE):
        ast.parse(program)


def sizes_of_extras() -> dict[str, int]:
    """What each extra takes on the disk in MB, as the table of install.md has it."""
    return {
        extra: int(size)
        for extra, size in re.findall(r"^\|.*'\.\[(\w+)\]'`.*?(\d+) MB", PAGES["install.md"], re.MULTILINE)
    }


def test_every_extra_has_its_size() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert sizes_of_extras().keys() == project["optional-dependencies"].keys() - {"dev"}


def test_sizes_of_what_is_installed_together_are_the_sums_of_their_rows() -> None:
    sizes = sizes_of_extras()
    (small,) = re.findall(r"'\.\[server,onnx\]'` is enough: (\d+) MB", PAGES["README.md"])
    assert int(small) == sizes["server"] + sizes["onnx"]
    assert f"That is {small} MB in the place of 1.5 GB" in PAGES["install.md"]
    (extras,) = re.findall(r"--editable '\.\[(torch,.*?)\]'", (ROOT / "Makefile").read_text("utf-8"))
    assert f"{sum(sizes[extra] for extra in ('onnx', *extras.split(','))) / 1000:.1f}" == "1.5"


def test_install_names_the_recipes_that_may_train_in_bf16() -> None:
    (named,) = re.findall(r"The recipes (.*?) train with `training.precision = \"auto\"`", PAGES["install.md"])
    shipped = {name for name in recipe_names() if read_recipe(name).sections["training"].get("precision") == "auto"}
    assert set(re.findall(r"`(.*?)`", named)) == shipped


@pytest.mark.parametrize("name", [name for name in recipe_names() if "docs/" in " ".join(read_recipe(name).about)])
def test_figures_in_a_recipe_stand_on_the_pages_that_it_names(name: str) -> None:
    about = " ".join(read_recipe(name).about)
    pages = " ".join(PAGES[page] for page in re.findall(r"docs/([\w-]+\.md)", about))
    assert [figure for figure in re.findall(r"\b\d\d\.\d\b", about) if figure not in pages] == []


def test_what_is_said_of_the_throughput_follows_from_its_tables() -> None:
    text = PAGES["service.md"].partition("### Throughput")[2]
    large, small = re.findall(r"\| `Detector.score` in-process.*?(?=\n\n)", text, flags=re.DOTALL)
    for table, said in ((large, "costs {more:.2f} core-ms more"), (small, "is {plain:.1f} times\nplain FastAPI")):
        rows = [
            [float(cell.strip(" *").replace(",", "")) for cell in row.split("|")[2:4]] for row in table.splitlines()
        ]
        (_, alone), (rate, own), _, (plain, _), _ = rows
        assert said.format(more=own - alone, plain=rate / plain) in text
    assert "`Detector.score` in one" not in text


@pytest.mark.parametrize("name", PAGES)
def test_no_figure_is_left_open(name: str) -> None:
    """Pages are written before their figures are measured; no marker for a missing figure may be published."""
    assert re.findall(r"\b[A-Z]+_HERE\b|\bCOST_[A-Z]+|\bTODO\b|\bXXX\b", PAGES[name]) == []


@pytest.mark.parametrize("name", PAGES)
def test_the_project_is_installed_from_a_clone(name: str) -> None:
    """Under this name a package index has another project, or none."""
    commands = [line for line in sh_lines(PAGES[name]) if "pip install" in line]
    commands += re.findall(r"`([^`\n]*pip install[^`\n]*)` in a clone", PAGES[name])
    assert [
        command for command in commands if re.search(r"(?<![\w/.-])anomaly\b(?!/)", command.split("install")[1])
    ] == []


def test_every_extra_is_in_the_table_of_extras() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    rows = re.findall(r"^\| `.*'\.\[(\w+)\]'` \| \S", PAGES["install.md"], re.MULTILINE)
    assert sorted(rows) == sorted(project["optional-dependencies"])


@pytest.mark.parametrize("name", PAGES)
def test_servers_answer_the_calls_that_stand_beside_them(name: str) -> None:
    """Where one block has both: the server knows the name in the call, and which model a call without one means."""
    for block in re.findall(r"^```sh\n.*?^```", PAGES[name], flags=re.DOTALL | re.MULTILINE):
        serve = next((line for line in sh_lines(block) if line.startswith("anomaly serve ")), "")
        for call in [line for line in sh_lines(block) if serve and line.startswith("curl ")]:
            (host,) = re.findall(r"https?://([\w.]+)", call)
            assert host == "127.0.0.1" or f"--allowed-hosts {host}" in serve, call
            assert "/score" not in call or "model=" in call or "--default-model " in serve, call


@pytest.mark.parametrize("name", ["README.md", "guide.md"])
def test_commands_in_sentences_lack_nothing(name: str) -> None:
    """Those with options; a verb alone only names it."""
    prose = re.sub(r"^```.*?^```", "", PAGES[name], flags=re.DOTALL | re.MULTILINE)
    commands = [" ".join(span.split()) for span in re.findall(r"`anomaly ([^`]+)`", prose)]
    commands = [command for command in commands if re.search(r"\S --", command) and "=" not in command]
    assert commands
    for command in commands:
        test_commands_are_understood(name, command)


@pytest.mark.parametrize("name", ["README.md", "guide.md"])
def test_what_a_training_says_names_the_card_where_it_warned(name: str) -> None:
    """As `anomaly train` does: of scaling, or of an end by the time limit."""
    blocks = re.findall(r"^```(?:text)?\n(data: .*?)^```", PAGES[name], flags=re.DOTALL | re.MULTILINE)
    blocks = [block for block in blocks if "\nwrote " in block]
    assert blocks
    for block in blocks:
        (version,) = re.findall(r"^wrote (\S+) ", block, re.MULTILINE)
        warned = "\nwarning: " in block or "the time limit was reached" in block
        card = f"warnings of this training stand in the model card, {version}/README.md\n"
        assert block.endswith(card) is warned
