"""Results: every format gives back what was written, and a file is whole or untouched."""

import csv
import json
import math
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import bool_, float64, parquet, string

from anomaly.errors import UsageError
from anomaly.pipeline.results import ResultRow, check_old_results, check_results_path, write_results

COLUMNS: dict[str, type] = {"path": str, "score": float, "is_anomalous": bool, "error": str}
SUFFIXES = [".csv", ".jsonl", ".parquet"]

_names = st.binary(min_size=1, max_size=20).map(lambda name: os.fsdecode(name.replace(b"\0", b"?")))
_floats = st.floats(allow_nan=False, allow_infinity=False)
_rows = st.fixed_dictionaries(
    {"path": _names, "score": st.none() | _floats, "is_anomalous": st.none() | st.booleans(), "error": st.none()}
)


def read_csv(path: Path) -> list[dict[str, object]]:
    """CSV as a careful reader takes it: an empty field is null, true and false are truth values."""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return [
            {
                "path": row["path"],
                "score": float(row["score"]) if row["score"] else None,
                "is_anomalous": {"": None, "true": True, "false": False}[row["is_anomalous"]],
                "error": row["error"] or None,
            }
            for row in csv.DictReader(file, strict=True)
        ]


def read_jsonl(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(rows=st.lists(_rows, max_size=5))
def test_every_value_comes_back(tmp_path: Path, rows: list[ResultRow]) -> None:
    for suffix in SUFFIXES:
        write_results(rows, tmp_path / f"r{suffix}", COLUMNS)
    assert rows == read_csv(tmp_path / "r.csv")
    assert rows == read_jsonl(tmp_path / "r.jsonl")
    table = parquet.read_table(tmp_path / "r.parquet").to_pylist()
    escaped = [{**row, "path": os.fsencode(str(row["path"])).decode(errors="backslashreplace")} for row in rows]
    assert escaped == table


@pytest.mark.parametrize("value", [0.1, 1 / 3, 5e-324, -0.0, 1.7976931348623157e308, 1e16, 123456789.123456789])
def test_floats_keep_every_digit(tmp_path: Path, value: float) -> None:
    for suffix in SUFFIXES:
        write_results([{"path": "a", "score": value}], tmp_path / f"r{suffix}", COLUMNS)
    stored = parquet.read_table(tmp_path / "r.parquet").to_pylist()[0]
    for row in (read_csv(tmp_path / "r.csv")[0], read_jsonl(tmp_path / "r.jsonl")[0], stored):
        found = row["score"]
        assert isinstance(found, float)
        assert found == value
        assert math.copysign(1, found) == math.copysign(1, value)


def test_what_a_row_lacks_is_null(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        write_results([{"path": "a", "error": "gone"}], tmp_path / f"r{suffix}", COLUMNS)
    expected = [{"path": "a", "score": None, "is_anomalous": None, "error": "gone"}]
    assert expected == read_csv(tmp_path / "r.csv")
    assert expected == read_jsonl(tmp_path / "r.jsonl")
    assert expected == parquet.read_table(tmp_path / "r.parquet").to_pylist()
    assert (tmp_path / "r.csv").read_bytes() == b"path,score,is_anomalous,error\na,,,gone\n"


def test_parquet_has_types_even_where_all_is_null(tmp_path: Path) -> None:
    write_results([{"path": "a"}], tmp_path / "r.parquet", COLUMNS)
    schema = parquet.read_schema(tmp_path / "r.parquet")
    assert list(COLUMNS) == schema.names
    assert [string(), float64(), bool_(), string()] == schema.types


def test_more_rows_than_one_group(tmp_path: Path) -> None:
    rows: list[ResultRow] = [{"path": str(i), "score": float(i)} for i in range(5000)]
    write_results(iter(rows), tmp_path / "r.parquet", COLUMNS)
    assert [row["path"] for row in rows] == parquet.read_table(tmp_path / "r.parquet")["path"].to_pylist()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_rows_are_a_header(tmp_path: Path, suffix: str) -> None:
    write_results([], tmp_path / f"r{suffix}", COLUMNS)
    if suffix == ".parquet":
        assert parquet.read_table(tmp_path / "r.parquet").num_rows == 0
    else:
        assert (tmp_path / f"r{suffix}").read_text() == (",".join(COLUMNS) + "\n" if suffix == ".csv" else "")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, suffix: str) -> None:
    def rows() -> Iterator[ResultRow]:
        yield {"path": "a", "score": 1.0}
        raise KeyboardInterrupt

    out = tmp_path / f"r{suffix}"
    for before in ([], [out]):
        if before:
            out.write_text("old")
        with pytest.raises(KeyboardInterrupt):
            write_results(rows(), out, COLUMNS)
        assert list(tmp_path.iterdir()) == before
    assert out.read_text() == "old"
    write_results([], out, COLUMNS)
    assert list(tmp_path.iterdir()) == [out]
    assert b"old" not in out.read_bytes()


def test_where_results_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for suffix in SUFFIXES:
        check_results_path(tmp_path / f"r{suffix}")
        check_results_path(Path(f"r{suffix}"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [("r.txt", ".csv, .jsonl, .parquet; got"), ("r", "got"), ("folder.csv", "is a folder"), ("no/r.csv", "create it")],
)
def test_where_results_cannot_be_written(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UsageError, match=said):
        check_results_path(tmp_path / name)


def test_parquet_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    check_results_path(tmp_path / "r.csv")
    said = "writing .parquet needs pyarrow: pip install 'anomaly[parquet]', or choose .csv"
    with pytest.raises(UsageError, match=f"^{re.escape(said)}$"):
        check_results_path(tmp_path / "r.parquet")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_only_results_are_replaced(tmp_path: Path, suffix: str) -> None:
    """And what is empty."""
    out = tmp_path / f"r{suffix}"
    columns = {"path": str, **dict.fromkeys(("score", "p_value"), float), "is_anomalous": bool, "threshold": float}
    own = columns | {"residual": float, "fdr_rejected": bool, "error": str}
    row: ResultRow = {"path": "a.png", "error": "damaged"}
    for others in ({"path": str, "label": str}, {"path": str, "label": str} | own, own | {"label": str}):
        write_results([row], out, others)
        before = out.read_bytes()
        with pytest.raises(UsageError, match=rf"r\{suffix} exists and is not a file of results.* give another --out"):
            check_old_results(out)
        assert out.read_bytes() == before
    out.write_bytes(b"\0\xff no table")
    with pytest.raises(UsageError, match="is not a file of results"):
        check_old_results(out)
    write_results([row], out, own)
    check_old_results(out)
    out.write_bytes(b"")
    check_old_results(out)
