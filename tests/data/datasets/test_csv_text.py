"""Tables as people's programs write them."""

from pathlib import Path

import pytest

from anomaly.data.datasets.csv_text import Line, Table, read_table
from anomaly.errors import DataError

ROWS = Table(["a", "b"], [Line(2, ["1", "ä"]), Line(3, ["x,y;z", ""])])


def table(folder: Path, data: bytes) -> Table:
    path = folder / "t.csv"
    path.write_bytes(data)
    return read_table(path, ("a", "b"))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_delimiters_line_ends_and_encodings(tmp_path: Path, delimiter: str, newline: str, encoding: str) -> None:
    lines = [f"a{delimiter}b", f"1{delimiter}ä", f'"x,y;z"{delimiter}']
    assert table(tmp_path, newline.join([*lines, ""]).encode(encoding)) == ROWS


@pytest.mark.parametrize("said", ["sep=;", "SEP=;", '"sep=;"', "sep=;;;"])
def test_a_first_line_says_the_delimiter(tmp_path: Path, said: str) -> None:
    found = table(tmp_path, f"{said}\r\na;b\r\n1;2\r\n".encode())
    assert found == Table(["a", "b"], [Line(3, ["1", "2"])])


def test_blank_lines_and_spaces(tmp_path: Path) -> None:
    text = '\n  \n A , B ,,\n,,,\n1, "2,3",,\n   \n\u00a0,\n'
    assert table(tmp_path, text.encode()) == Table(["a", "b"], [Line(5, ["1", "2,3", "", ""])])


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_every_field_may_be_quoted(tmp_path: Path, delimiter: str) -> None:
    quoted = [f'"{first}"{delimiter}"{second}"' for first, second in (("a", "b"), ("1", 'say ""x""'))]
    assert table(tmp_path, "\n".join(quoted).encode()) == Table(["a", "b"], [Line(2, ["1", 'say "x"'])])


def test_what_is_said_is_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 1 names the columns a;b; expected a,b"):
        table(tmp_path, b"sep=,\na;b\n1;2\n")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a,b\n1,2\n\xe4,2\n", r"line 3 has the byte 0xe4, which is not UTF-8\); expected a CSV file in UTF-8"),
        ("a,b\n1,2\n".encode("utf-16-le"), "zero bytes, as UTF-16 without a byte-order mark"),
        ("a,b\n1,2\n".encode("utf-16")[:-1], "which is not UTF-16"),
        (b'"a,b"\n"1,2"\n', "line 1 names the columns a,b; expected a,b"),
        (b'a,b\n1,"2\n', "line 2 is not CSV"),
        (b'a,b\n1,"2"x\n', "line 2 is not CSV"),
        (b'"a"b,c\n', "line 1 names the columns"),
        (b"", r"line 1 names the columns \(none\)"),
    ],
)
def test_anything_else_is_named(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        table(tmp_path, data)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read .*expected a CSV file"):
        read_table(tmp_path / "nowhere.csv", ("a",))
