from pathlib import Path

import torch

from benchmarks.rows import append_row, machine, read_rows


def test_a_row_says_on_which_machine_and_with_how_many_threads(tmp_path: Path) -> None:
    path = tmp_path / "results" / "rows.jsonl"
    path.parent.mkdir()
    path.write_text('{"auroc": 0.5}\n')  # of before
    append_row(path, {"auroc": 0.9})
    old, new = read_rows(path)
    assert old == {"auroc": 0.5}
    assert new == {"auroc": 0.9, "machine": machine(), "threads": torch.get_num_threads()}
    assert " cores" in machine()
