"""What a data set was taken for, in sentences: its form, its classes, who takes which images, and what is left out."""

from collections import Counter
from collections.abc import Sequence

from anomaly.counted import counted
from anomaly.data.datasets.samples import Dataset, Form, Label, Sample
from anomaly.data.files.left_out import left_out_sentences
from anomaly.errors import DataError

_FORMS: dict[Form, str] = {
    "folder": "a folder of images",
    "classes": "a folder per class",
    "mvtec": "a tree in MVTec's layout",
    "defects": "a folder of defective images",
    "idx": "MNIST's files",
    "manifest": "a manifest",
    "digits": "the built-in digits",
    "arrays": "arrays in memory",
}
_LABELS: tuple[Label | None, ...] = ("normal", "anomalous", None)
_MAX_KINDS = 8
_MAX_PARTS = 3


def describe(dataset: Dataset, verb: str = "") -> list[str]:
    """Sentences for people, in a fixed order. No image is decoded.

    `verb` is a command that takes the normal images to train on, or "refine", which takes labelled defects too; without
    it what train and evaluate take is said.
    """
    splits = sorted({sample.split or "" for sample in dataset.samples}, reverse=True)  # train before test
    lines = [f"{dataset.name}: {_FORMS[dataset.form]}: {_count(dataset.samples)}"]
    for split in splits:
        inside = [sample for sample in dataset.samples if (sample.split or "") == split]
        lines.append(f"{split or 'classes'}: {_kinds(inside)}")
    if splits == [""] and {sample.kind for sample in dataset.samples} == {""}:
        lines.pop()
    return [
        *lines,
        *(_taken_to_refine(dataset) if verb == "refine" else _taken(dataset, verb)),
        *_parts(dataset, verb or "train"),
        *([why] if (why := dataset.why_all_marked()) else []),
        *left_out_sentences(dataset.left_out),
        *dataset.notes,
    ]


def _kinds(samples: Sequence[Sample]) -> str:
    """The number in each class or defect, the normal ones first."""
    counts = Counter((_LABELS.index(sample.label), sample.kind) for sample in samples)
    told = [
        f"{counts[row, kind]:,} {_LABELS[row] or 'without a label'}{f' in {kind}' if kind else ''}"
        for row, kind in sorted(counts)
    ]
    rest = f" and {counted(len(told) - _MAX_KINDS, 'more class', 'more classes')}" if len(told) > _MAX_KINDS else ""
    return ", ".join(told[:_MAX_KINDS]) + rest


def _count(samples: Sequence[Sample]) -> str:
    """How many are normal, anomalous and without a label, and how many of the anomalous have masks."""
    labels = Counter(sample.label for sample in samples)
    num_masks = sum(bool(sample.masks) for sample in samples if sample.label == "anomalous")
    masks = f" ({num_masks:,} with masks)" if num_masks else ""
    told = [f"{labels['normal']:,} normal"]
    if labels["anomalous"]:
        told.append(f"{labels['anomalous']:,} anomalous{masks}")
    if labels[None]:
        told.append(f"{labels[None]:,} without a label")
    return ", ".join(told)


def _taken(dataset: Dataset, verb: str) -> list[str]:
    evaluated = "" if verb else f"; evaluate takes {_taken_to_test(dataset)}"
    taken = f"{verb or 'train'} takes {_taken_to_train(dataset)}{evaluated}"
    return [taken, *([_held_out(dataset)] if dataset.holds_out else [])]


def _taken_to_refine(dataset: Dataset) -> list[str]:
    labelled = _count([*dataset.untested_normals(), *dataset.labelled_defects()])
    return [f"refine takes {labelled}; of the normal images those that made the model"]


def _taken_to_train(dataset: Dataset) -> str:
    num = len(dataset.known_normals())
    return f"{num:,} normal" if num else "nothing"


def _held_out(dataset: Dataset) -> str:
    what = "part" if dataset.parts else "normal image"
    return (
        f"there are no splits, so each fifth {what} is kept for evaluate alone; to say it yourself, give folders train "
        "and test, or a manifest's column split"
    )


def _parts(dataset: Dataset, verb: str) -> list[str]:
    """How many parts there are, with a few of their names, by which a wrong --groups is seen."""
    if verb == "refine":
        return _parts_of_defects(dataset)
    if not dataset.parts:
        has_column = any(sample.group for sample in dataset.samples)
        return ["the column group is used where --groups group is given"] if has_column else []
    names = list(dict.fromkeys(dataset.parts.values()))
    num_trained = len({dataset.parts[sample.path] for sample in dataset.known_normals()})
    return [
        f"its normal images show {counted(len(names), 'part')} ({_named(names)}); {verb} takes those of "
        f"{num_trained:,}",
        *_in_both(dataset, names),
    ]


def _parts_of_defects(dataset: Dataset) -> list[str]:
    """Likewise of the labelled defects, whose parts a manifest's column tells without --groups too."""
    groups = [sample.group for sample in dataset.labelled_defects()]
    names = list(dict.fromkeys(filter(None, groups)))
    if not names:
        return ["no labelled defect has a part by --groups, so each shows its own"] if dataset.parts else []
    num = groups.count("")
    own = counted(num, "other has none, and shows its own", "others have none, and each shows its own")
    return [f"its labelled defects show {counted(len(names), 'part')} ({_named(names)}){f'; {own}' if num else ''}"]


def _in_both(dataset: Dataset, names: Sequence[str]) -> list[str]:
    """The parts that normal images of both splits show: what a model has seen of them says nothing of new parts."""
    splits = {
        split: {dataset.parts[s.path] for s in dataset.samples if s.split == split and s.label == "normal"}
        for split in ("train", "test")
    }
    both = [name for name in names if name in splits["train"] & splits["test"]]
    if not both:
        return []
    whose, new = ("its", "a new part") if len(both) == 1 else ("their", "new parts")
    return [
        f"{counted(len(both), 'part is', 'parts are')} in train and in test ({_named(both)}): {whose} test pictures do "
        f"not show {new}. evaluate leaves them out of the false alarms on new parts, and its other figures can come "
        "out too good: put all pictures of a part into one split"
    ]


def _named(parts: Sequence[str]) -> str:
    return ", ".join(parts[:_MAX_PARTS]) + (" …" if len(parts) > _MAX_PARTS else "")


def _taken_to_test(dataset: Dataset) -> str:
    try:
        return _count(dataset.test())
    except DataError:
        return "nothing: it needs normal and anomalous images that are not trained on"
