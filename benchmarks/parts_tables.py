"""Rows of results as the page `docs/parts.md`. AUROC and shares in %."""

from collections.abc import Sequence
from statistics import fmean, stdev

from scipy.stats import betabinom

from anomaly.calibration import num_allowed
from benchmarks.mosaics import shared_cells
from benchmarks.part_sets import ALL_SETS, OTHER_DRAWS, SETS
from benchmarks.rows import Row, typed

PRETRAINED, FROM_SCRATCH = "parts", "surfaces"
_UNTRAINED = ("patchcore", "patchcore-whole", "by-place", "by-place-measured")
_FIGURES = {"auroc": "image AUROC", "pixel_auroc": "pixel AUROC", "aupro": "AUPRO"}
_POWER = {"tpr_at_threshold": "power"}
_COVERAGE = 0.95

_PREFACE = """# Real parts

`python -m benchmarks.parts --write docs/parts.md` makes this page of `benchmarks/results/parts.jsonl`. Each row of ours
is one `anomaly train` and one `anomaly evaluate`; without `--write` the program runs what has no row yet. Figures are
image AUROC / pixel AUROC / AUPRO in %, ± the standard deviation of the first over seeds; the second and third stand
where there are masks. On boards and mosaics, where 256 pixels a side hide the defects, `parts` is the recipe
`large-parts`.

**All these rows are somewhat too good**, because some choices were made with test figures in view
([experiments](experiments.md)):

| chosen with test figures of | what was chosen |
|---|---|
| tiles, transistors, bottles, ELPV | which maps the discriminator of `parts` sees; that all normals are remembered \
at the same place; that the first kind of evidence stays unless another one is clearly better |
| transistors, and tiles held out whole | that `parts` restores maps. How it restores them was chosen without test \
figures |
| 50 cells of ELPV | that where two kinds of evidence are dropped, each of them gains at least one normal with drawn \
defects |
| bottles | that the residual at half the size counts at most as much as the other kinds together. That there is one \
was chosen by normals with drawn defects |
| some boards and mosaics | that `large-parts` aligns pictures, learns from small defects, and prefers its \
discriminator alone |
| these mosaics | that a tenth of the negatives of `large-parts` are far from normals, and not a fifth nearer |

All methods see the same splits. PCA and 3-NN (nearest neighbours) see 64 × 64 grey pixels. **PatchCore's evidence** is
a memory of normal places of the same φ that `parts` has, EfficientNet-Lite0, without any training: a detector that
does not beat it has no reason to exist. It sees pictures stretched to 256 × 256, and once more at their own size where
256 pixels hide the defects (`benchmarks/patchcore.py` has what of PatchCore is left out). "Memory by place" compares
with all normals at the same place alone, at 256 × 256, without training either. "Measured" is the same in deviations
from what normals show at that place when each of them is left out, with its whole part where parts are told. What is
not trained remembers all training normals. `parts` keeps a quarter to a half of them back, to choose, to calibrate and
to report, and remembers at most 384 pictures.
"Registration" is phase correlation and a z-map in numpy. Published figures are the papers' own, from other and larger
networks, and for the tiles from other draws of the split.
"""
_LEAK = """**The tiles drawn by picture leak**: of nearly every test normal, and of no defect, another picture of the
same tile is among the training images, so the row of tiles held out whole is the one that tells of new parts.
"""
_SETS = """Boards are 1,280 × 960 (`benchmarks/boards.py`), with defects of 5 to 20 pixels. Mosaics are 1,200 × 900
(`benchmarks/mosaics.py`), with one fault of 4 to 8 pixels: their figure is the share of faults found at a false-alarm
rate of 1 %, the share of flagged normals in brackets. Of their 400 normals 280 train and 120 calibrate (`anomaly
calibrate`); cells of one are in no other, nor in the test.
"""
_SHARED_CELLS = """The interval is that of independent pictures. **Mosaics are not independent**: 120 calibrate, but
they show 147 cells, each many times, and so do the test pictures. If all cells are alike and a picture's score is that
of its strongest cell, {mean:.0f} % of test normals are flagged in the mean where 1 % is asked for, and 95 % of such
shares lie between {low:.0f} and {high:.0f} % (by simulation, `shared_cells` in `benchmarks/mosaics.py`). So no share
in this table speaks for a detector of mosaics or against it, and as few cells make the threshold of their power.
"""
_DRAWS = """A fifth of the tiles are the normals of the test. Which ones they are changes the figures, too:
`python -m benchmarks.manifests magnetic-tile-apart --seed DRAW` draws others. Everything else is the same, seed 0
trains, and nothing was chosen by these rows. Draw 0 is the one of all other tables.
"""
_COMMANDS = """## Commands

`python -m benchmarks.parts --data DATA_DIR --sets tiles-apart --only parts --seeds 0` makes one row. It writes the set
into the folder of `--models`, and runs these commands on it; the set's name stands for its path.
"""


def to_page(rows: Sequence[Row]) -> str:
    """Two tracks, then where ours is not the better one, false alarms, and commands."""
    measured = {name: [row for row in rows if row["set"] == name] for name in ALL_SETS}
    measured = {name: own for name, own in measured.items() if own}
    found = {name: own for name, own in measured.items() if name in SETS}
    parts = [_PREFACE, "## With pretrained features\n", _pretrained_table(found), _LEAK, _SETS]
    parts += [f"### Where `{PRETRAINED}` does not beat untrained evidence on φ\n", "\n".join(shortfalls(rows)) + "\n"]
    parts += _other_draws(rows)
    parts += ["## From scratch\n", _scratch_table(found), "## False alarms\n", _false_alarms(measured)]
    return "\n".join([*parts, _commands(measured)])


def shortfalls(rows: Sequence[Row]) -> list[str]:
    """A sentence for each set and figure in which ours, the mean over seeds, is not above what is untrained."""
    sentences = []
    for name, chosen in SETS.items():
        ours = _of(rows, name, PRETRAINED)
        baselines = [each for method in _UNTRAINED for each in _of(rows, name, method)]
        for key, word in (_POWER if chosen.alpha else _FIGURES).items():
            mine, theirs = _mean(ours, key), [row[key] for row in baselines if row.get(key) is not None]
            if mine is not None and theirs and mine <= max(theirs):
                sentences.append(
                    f"- {chosen.title}: {word} {100 * mine:.1f}, untrained evidence {100 * max(theirs):.1f}."
                )
    measured = [SETS[name].title for name in SETS if _of(rows, name, PRETRAINED)]
    missing = [SETS[name].title for name in SETS if not _of(rows, name, PRETRAINED)]
    if measured and not sentences:
        sentences = ["- Nowhere among the sets that are measured."]
    return sentences + ([f"- Not measured: {'; '.join(missing)}."] if missing else [])


def false_alarm_interval(alpha: float, num_calibration: int, num_normal: int) -> tuple[float, float]:
    """Of the share of flagged normals, at 95 %, where calibration and test normals are exchangeable.

    Their number is beta-binomial with parameters K and n + 1 − K (Vovk 2012). K is 0 where n is too small for alpha.
    """
    num_above = num_allowed(alpha, num_calibration)
    if not num_above:
        return 0.0, 0.0
    low, high = betabinom(num_normal, num_above, num_calibration + 1 - num_above).interval(_COVERAGE)
    return float(low) / num_normal, float(high) / num_normal


def _pretrained_table(found: dict[str, list[Row]]) -> str:
    heads = [
        f"`{PRETRAINED}`",
        "PatchCore's evidence",
        "at its own size",
        "memory by place",
        "the same, measured",
        "registration",
        "PCA",
        "3-NN",
    ]
    methods = [PRETRAINED, *_UNTRAINED, "registration", "pca", "knn"]
    lines = [f"| data | {' | '.join([*heads, 'published, on ImageNet features'])} |"]
    lines.append("|---" * (len(heads) + 2) + "|")
    for name, rows in found.items():
        chosen = SETS[name]
        cells = [_cell(rows, name, method, bold=method == PRETRAINED) for method in methods]
        cells.append(chosen.published[0] or "–")
        lines.append(f"| {chosen.title} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _other_draws(rows: Sequence[Row]) -> list[str]:
    """The leading set and the same with other tiles held out: each method's seed 0, and the mean over draws."""
    names = [name for name in (*list(SETS)[:1], *OTHER_DRAWS) if _of(rows, name, PRETRAINED)]
    if not set(names) & set(OTHER_DRAWS):
        return []
    methods = [PRETRAINED, "by-place", "by-place-measured", "pca", "knn"]
    lines = [f"| draw | `{PRETRAINED}` | memory by place | the same, measured | PCA | 3-NN |", "|---" * 6 + "|"]
    first = [row for row in rows if row["seed"] == 0]
    for name in names:
        cells = [_cell(first, name, method, bold=method == PRETRAINED) for method in methods]
        lines.append(f"| {ALL_SETS[name].draw} | {' | '.join(cells)} |")
    of_draws = [{**row, "set": names[0]} for row in first if row["set"] in names]
    cells = [_cell(of_draws, names[0], method, bold=method == PRETRAINED) for method in methods]
    lines.append(f"| mean ± deviation | {' | '.join(cells)} |")
    return ["### With other tiles held out\n", _DRAWS, "\n".join(lines) + "\n"]


def _scratch_table(found: dict[str, list[Row]]) -> str:
    lines = [f"| data | `{FROM_SCRATCH}` | PCA | 3-NN | published |", "|---|---|---|---|---|"]
    for name, rows in found.items():
        cells = [_cell(rows, name, method, bold=method == FROM_SCRATCH) for method in (FROM_SCRATCH, "pca", "knn")]
        lines.append(f"| {SETS[name].title} | {' | '.join(cells)} | {SETS[name].published[1] or '–'} |")
    return "\n".join(lines) + "\n"


def _false_alarms(found: dict[str, list[Row]]) -> str:
    told = (
        "Flagged test normals, and the interval of 95 % of such shares where test and calibration normals are alike.\n"
    )
    lines = [told, "| data | method | seed | alpha | calibrated with | flagged | interval | inside |", "|---" * 8 + "|"]
    for name, rows in found.items():
        for row in rows:
            if row.get("fpr_at_threshold") is None:
                continue
            low, high = false_alarm_interval(row["alpha"], row["num_calibration"], row["num_normal"])
            is_inside = low <= row["fpr_at_threshold"] <= high
            cells = [
                ALL_SETS[name].title,
                row["method"],
                str(row["seed"]),
                f"{row['alpha']:g}",
                str(row["num_calibration"]),
            ]
            cells += [f"{100 * row['fpr_at_threshold']:.1f}", f"{100 * low:.1f}–{100 * high:.1f}"]
            lines.append(f"| {' | '.join(cells)} | {'yes' if is_inside else '**no**'} |")
    if len(lines) == 3:
        return "Nothing is calibrated yet.\n"
    if "mosaics" in found:
        mean, low, high = (100 * share for share in shared_cells())
        lines += ["", _SHARED_CELLS.format(mean=mean, low=low, high=high).rstrip()]
    return "\n".join(lines) + "\n"


def _commands(found: dict[str, list[Row]]) -> str:
    lines = [_COMMANDS]
    for name, rows in found.items():
        for method in (PRETRAINED, FROM_SCRATCH):
            own = _of(rows, name, method)
            if own:
                took = "" if own[0]["is_resumed"] else f", in {own[0]['train_s']:,.0f} s on {own[0]['machine']}"
                lines.append(f"- {ALL_SETS[name].title}, {method}. The first row's: `{typed(own[0]['command'])}`{took}")
    machines = sorted({f"{row['machine']}, {row['threads']} threads" for rows in found.values() for row in rows})
    return "\n".join([*lines, *(["", f"Measured on {' and on '.join(machines)}."] if machines else [])]) + "\n"


def _cell(rows: Sequence[Row], name: str, method: str, *, bold: bool = False) -> str:
    own = _of(rows, name, method)
    key = "tpr_at_threshold" if ALL_SETS[name].alpha else "auroc"
    first = _mean(own, key)
    if first is None:
        return "–"
    values = [row[key] for row in own]
    text = f"{100 * first:.1f}"
    text = (f"**{text}**" if bold else text) + (f" ± {100 * stdev(values):.1f}" if len(values) > 1 else "")
    if ALL_SETS[name].alpha:
        return f"{text} ({100 * (_mean(own, 'fpr_at_threshold') or 0):.1f})"
    pixel = [_mean(own, each) for each in ("pixel_auroc", "aupro")]
    return " / ".join([text, *(f"{100 * each:.1f}" for each in pixel if each is not None)])


def _of(rows: Sequence[Row], name: str, method: str) -> list[Row]:
    return sorted(
        (row for row in rows if (row["set"], row["method"]) == (name, method)), key=lambda row: int(row["seed"])
    )


def _mean(rows: Sequence[Row], key: str) -> float | None:
    values = [row[key] for row in rows if row.get(key) is not None]
    return fmean(values) if values else None
