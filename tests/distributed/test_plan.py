"""What rows of a plan ask for, and which plans are refused."""

from pathlib import Path

import pytest

from anomaly.distributed.plan import Planned, read_plan
from anomaly.errors import UsageError

MODELS = Path("models")


def plan(folder: Path, text: str) -> list[Planned]:
    path = folder / "plan.csv"
    path.write_text(text, encoding="utf-8-sig")
    return read_plan(path, MODELS, device="cpu")


def problem_of(folder: Path, cells: str, columns: str = "data,name,steps,set") -> str | None:
    (row,) = plan(folder, f"{columns}\n{cells}\n")
    assert (row.options is None) == (row.problem is not None)
    return row.problem


def test_a_row_has_the_options_of_a_training(tmp_path: Path) -> None:
    text = (
        "name,data,recipe,normal,size,steps,seed,max_minutes,set,groups,region\n"
        'station-1,good/1,own.toml,"0, 1",32,50,3,1.5,training.batch_size=8 network.width=4,group,mask.png\n'
        "zeros,digits,,0,,,,,,,\n"
    )
    first, second = plan(tmp_path, text)
    options = first.options
    assert options is not None
    assert (options.data, options.out) == (str(tmp_path / "good/1"), MODELS.absolute() / "station-1")
    assert (options.recipe, options.region) == (str(tmp_path / "own.toml"), tmp_path / "mask.png")
    assert (options.normal, options.groups, options.max_minutes) == (("0", "1"), "group", 1.5)
    assert options.overrides == {
        "training": {"batch_size": 8, "steps": 50, "seed": 3},
        "network": {"width": 4},
        "preprocess": {"size": 32},
    }
    assert second.options is not None
    assert (
        second.options.command == f"anomaly train digits --out {MODELS.absolute() / 'zeros'} --recipe auto --normal 0"
    )
    assert (first.line, second.line) == (2, 3)


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        (",a,,", "data is empty; each row needs data and name"),
        ("digits,a/b,,", "name: a/b is the name of a model, and of its folder"),
        ("digits,.a,,", "name: .a is the name of a model"),
        ("digits,a,ten,", "steps: Input should be a valid integer"),
        ("digits,a,,training.speed=1", "the section training has no field 'speed'"),
        ("digits,a,5,training.steps=6", "training.steps is set twice, by --set and by --steps"),
        ("digits,a,,'training.steps=6", "No closing quotation"),
        ("digits,a,,,more", "it has more cells than the first row"),
    ],
)
def test_a_row_that_cannot_be_done_says_why(tmp_path: Path, cells: str, why: str) -> None:
    assert why in (problem_of(tmp_path, cells) or "")


def test_a_name_is_given_once(tmp_path: Path) -> None:
    rows = plan(tmp_path, "data,name\ndigits,a\ndigits,a\n")
    assert [row.problem for row in rows] == [None, "line 2 has this name too; give each model its own"]


def test_names_that_are_one_folder_on_some_disks_are_refused(tmp_path: Path) -> None:
    """Capitals alone, and an accent as a character of its own: Windows and macOS do not tell these apart."""
    rows = plan(tmp_path, "data,name\ndigits,Tür\ndigits,tür\ndigits,Tu\u0308r\ndigits,tor\n")
    assert [row.options is None for row in rows] == [False, True, True, False]
    assert rows[1].problem == (
        "line 2 has the name 'Tür', which many disks take for the same folder; give each model its own"
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("data,name\n", "has no rows"),
        ("", r"plan\.csv: line 1 names the columns \(none\); expected data,name"),
        ("data\ndigits\n", r"plan\.csv: line 1 names the columns data; expected data,name"),
        ("data,name,Name\ndigits,a,b\n", "names the column name twice"),
        ("data,name,speed\ndigits,a,1\n", "has a column 'speed'; there are data, name, recipe, set,"),
    ],
)
def test_a_plan_that_is_none_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        plan(tmp_path, text)
    with pytest.raises(UsageError, match="cannot be read"):
        read_plan(tmp_path / "none.csv", MODELS)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    "text",
    [
        'Data;Name;Groups;Max_Minutes\r\nkeller;x;"slide(\\d+)_";0.1\r\n;;;\r\n',
        "data\tname\tgroups\tmax_minutes\nkeller\tx\tslide(\\d+)_\t0.1\n",
        "sep=;\nDATA; NAME ;groups;max_minutes;;\nkeller;x;slide(\\d+)_;0.1;;\n",
    ],
)
def test_a_plan_is_read_as_a_manifest_is(tmp_path: Path, text: str, encoding: str) -> None:
    """As Excel writes it where a comma is the decimal sign, too."""
    path = tmp_path / "plan.csv"
    path.write_bytes(text.encode(encoding))
    (row,) = read_plan(path, MODELS, device="cpu")
    assert row.options is not None
    assert (row.name, row.options.data) == ("x", str(tmp_path / "keller"))
    assert (row.options.groups, row.options.max_minutes) == (r"slide(\d+)_", 0.1)
