"""Random manifests mean what a plain reading of the rules says, whatever they are written like.

50 without mistakes and 50 with some for every change; ANOMALY_RANDOM_MANIFESTS sets another number.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomaly.data import open_dataset
from anomaly.errors import DataError

NUM_MANIFESTS = int(os.environ.get("ANOMALY_RANDOM_MANIFESTS", "50"))

IMAGES = [f"img/{name}.png" for name in ("a", "b", "c,d", "e;f", 'g"h', "ä", "two words")]
MASKS = [f"masks/{number}.png" for number in range(4)]

MISTAKES: list[dict[str, str]] = [
    *({"path": path} for path in ("img/nowhere.png", "", "C:\\img\\a.png", IMAGES[0])),
    *({"label": label} for label in ("good", "normal")),
    *({"split": split} for split in ("val", "train", "")),
    *({"mask": mask} for mask in ("masks/nowhere.png", "")),
]

Meaning = dict[Path, tuple[str, str | None, frozenset[Path], str]]


@dataclass(frozen=True)
class Manifest:
    """Cells as they are meant, and the bytes that a program wrote of them."""

    header: list[str]
    rows: list[list[str]]
    data: bytes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("manifests")
    for name in (*IMAGES, *MASKS):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    (root / "img" / "link.png").symlink_to("a.png")
    return root


def plain_meaning(header: Sequence[str], rows: Sequence[Sequence[str]], folder: Path) -> Meaning | None:
    """What the rules say of these cells, written for reading alone; None where they are refused."""
    columns = [name.strip().lower() for name in header]
    if columns.count("path") != 1 or columns.count("label") != 1:
        return None
    records = [dict(zip(columns, row, strict=True)) for row in rows if "".join(row).strip()]
    if not records:
        return None
    splits_given = any(record.get("split", "").strip() for record in records)
    seen: dict[Path, list[tuple[str, str, Path | None, str]]] = {}
    for record in records:
        label, split = record["label"].strip().lower(), record.get("split", "").strip().lower()
        path, mask = record["path"].strip(), record.get("mask", "").strip()
        if label not in ("normal", "anomalous") or not path or path[1:3] == ":\\":
            return None
        if splits_given and split not in ("train", "test"):
            return None
        image = (folder / path.replace("\\", "/")).resolve()
        mask_file = (folder / mask.replace("\\", "/")).resolve() if mask else None
        if image == mask_file:
            return None
        seen.setdefault(image, []).append((label, split, mask_file, record.get("kind", "").strip()))
    if 2 * sum(not image.exists() for image in seen) >= len(seen):
        return None
    masks = {mask for said in seen.values() for _, _, mask, _ in said if mask}
    if masks and not any(mask.exists() for mask in masks):
        return None
    meaning: Meaning = {}
    for image, said in seen.items():
        if len({(label, split, mask is None) for label, split, mask, _ in said}) > 1:
            return None
        kinds = sorted({kind for *_, kind in said if kind})
        its_masks = frozenset(mask for _, _, mask, _ in said if mask)
        meaning[image] = (said[0][0], said[0][1] or None, its_masks, "+".join(kinds))
    return meaning


def spelt(name: str) -> st.SearchStrategy[str]:
    """A path as people write it."""
    forms: list[Callable[[str], str]] = [
        str,
        lambda path: f"./{path}",
        lambda path: f"masks/../{path}",
        lambda path: path.replace("/", "\\"),
        lambda path: f" {path} ",
    ]
    return st.sampled_from(forms).map(lambda form: form(name))


def cased(word: str) -> st.SearchStrategy[str]:
    return st.sampled_from([word, word.upper(), word.title(), f" {word}", f"{word} "])


@st.composite
def records(draw: st.DrawFn, is_wild: bool) -> list[dict[str, str]]:
    """Rows by column, several of some images; `is_wild`: with mistakes among them."""
    has_splits, has_masks = draw(st.booleans()), draw(st.booleans())
    listed: list[dict[str, str]] = []
    for image in draw(st.lists(st.sampled_from(IMAGES), min_size=1, max_size=6, unique=True)):
        label = draw(st.sampled_from(["normal", "anomalous"]))
        split = draw(st.sampled_from(["train", "test"])) if has_splits else ""
        is_masked = has_masks and draw(st.booleans())
        for _ in range(draw(st.integers(1, 2))):
            name = draw(st.sampled_from([image, "img/link.png"])) if image == IMAGES[0] else image
            row = {
                "path": draw(spelt(name)),
                "label": draw(cased(label)),
                "split": draw(cased(split)) if split else "",
                "mask": draw(spelt(draw(st.sampled_from(MASKS)))) if is_masked else "",
                "kind": draw(st.sampled_from(["", "cut", " dent "])),
                "group": "1",
                "camera": draw(st.sampled_from(["", "line 3", 'the "left" one'])),
            }
            listed.append(row)
    if is_wild:
        for _ in range(draw(st.integers(1, 2))):
            row = draw(st.sampled_from(listed))
            mistake = draw(st.sampled_from([*MISTAKES, {"mask": row["path"]}]))
            row.update(mistake)
    return draw(st.permutations(listed))


@st.composite
def manifests(draw: st.DrawFn, is_wild: bool) -> Manifest:
    listed = draw(records(is_wild))
    left_out = draw(st.sets(st.sampled_from(["split", "mask", "kind", "group", "camera"])))
    columns = draw(st.permutations([name for name in listed[0] if name not in left_out]))
    header = [draw(cased(name)) for name in columns]
    rows = [[row[name] for name in columns] for row in listed]
    for _ in range(draw(st.integers(0, 2))):
        rows.insert(draw(st.integers(0, len(rows))), [draw(st.sampled_from(["", "  "]))] * len(columns))
    delimiter, newline = draw(st.sampled_from(",;\t")), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    lines = [delimiter.join(draw(quoted(cell, delimiter)) for cell in row) for row in (header, *rows)]
    if draw(st.booleans()):
        lines.insert(0, f"sep={delimiter}")
    for _ in range(draw(st.integers(0, 2))):
        lines.append(draw(st.sampled_from(["", "   ", delimiter * (len(columns) - 1)])))
    end = draw(st.sampled_from(["", newline]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
    return Manifest(header, rows, (newline.join(lines) + end).encode(encoding))


def quoted(cell: str, delimiter: str) -> st.SearchStrategy[str]:
    """In quotes where it must be, and at times where it need not."""
    in_quotes = '"' + cell.replace('"', '""') + '"'
    if delimiter in cell or '"' in cell:
        return st.just(in_quotes)
    return st.sampled_from([cell, in_quotes])


outcomes = {"read": 0, "refused": 0}


@pytest.mark.parametrize("is_wild", [False, True])
@settings(max_examples=NUM_MANIFESTS)
@given(data=st.data())
def test_a_manifest_means_what_a_plain_reading_says(folder: Path, is_wild: bool, data: st.DataObject) -> None:
    manifest = data.draw(manifests(is_wild))
    path = folder / "list.csv"
    path.write_bytes(manifest.data)
    expected = plain_meaning(manifest.header, manifest.rows, folder)
    if expected is None:
        outcomes["refused"] += 1
        with pytest.raises(DataError, match=r"list\.csv"):
            open_dataset(str(path))
        return
    outcomes["read"] += 1
    found = {
        Path(sample.path).resolve(): (
            sample.label,
            sample.split,
            frozenset(mask.resolve() for mask in sample.masks),
            sample.kind,
        )
        for sample in open_dataset(str(path)).samples
    }
    assert found == expected


def test_both_outcomes_came_up() -> None:
    assert min(outcomes.values()) > NUM_MANIFESTS // 20, outcomes
