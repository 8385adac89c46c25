"""The verdict of an evaluation, in plain sentences: what the numbers say, for whoever reads nothing else.

In order: how well the scores rank, what the threshold does, whether it is too high, which terms contradict the score,
how well the heatmaps point at the defects, which masks may be inverted, which kinds of anomaly are hard, and, last,
whether the plain baselines are better.
"""

from collections import Counter
from typing import NamedTuple, Self

import numpy as np

from anomaly.calibration import false_alarms_by_chance, is_above, num_allowed, num_needed
from anomaly.counted import counted, percent, percent_as_given
from anomaly.evaluation.contradictions import TermFound, better_term, passed_outliers, shifted_term
from anomaly.evaluation.intervals import Interval
from anomaly.evaluation.results import Evaluation
from anomaly.evaluation.summary import Standing, Summary

BASELINE_NAMES = {"pca": "PCA", "knn": "nearest neighbours"}
NO_KIND = "no kind given"  # what anomalies are called whose kind is empty, as in a manifest
NUM_HARDEST = 3  # kinds that are named
_NEAR_GUESSING = 0.6  # AUROC
_MOST = 0.5  # shares of the anomalies: fewer found is called missing most,
_WELL = 0.8  # and so many found by a fitting threshold is called ranking well
_CHANCE = 0.01  # of what is more seldom than this it is said that chance does not explain it


def verdict_lines(evaluation: Evaluation, summary: Summary) -> list[str]:
    """All sentences that apply, the comparison with the baselines last."""
    lines = [
        ranking_sentence(evaluation, summary),
        operating_sentence(evaluation, summary),
        threshold_sentence(evaluation, summary),
        term_sentence(evaluation, summary),
        outliers_sentence(evaluation),
        pixel_sentence(evaluation),
        inverted_sentence(evaluation),
        kinds_sentence(summary),
        comparison_sentence(evaluation, summary),
    ]
    return [line for line in lines if line is not None]


def ranking_sentence(evaluation: Evaluation, summary: Summary) -> str:
    """How good the scores are, without a threshold, and how many images and trainings stand behind that."""
    low, high = summary.image.auroc_ci95
    interval = "95% interval" if evaluation.images.parts is None else "95% interval over other parts,"
    return (
        f"AUROC {percent(summary.image.auroc)} ({interval} {percent(low)} to {percent(high)}): of a normal and an "
        f"anomalous image, {evaluation.model.name} gives the anomalous one the higher score "
        f"{percent(summary.image.auroc).removesuffix('%')} times in 100. Measured on "
        f"{summary.image.num_normal:,} normal and {counted(summary.image.num_anomalous, 'anomalous image')}, of one "
        f"training (seed {evaluation.model.seed})."
    )


def operating_sentence(evaluation: Evaluation, summary: Summary) -> str:
    """How good the decisions are at the threshold in force; whether the false alarms are as many as was asked for."""
    if evaluation.threshold is None:
        return (
            f"There is no threshold: a false-alarm rate of {percent_as_given(evaluation.alpha)} needs at least "
            f"{counted(num_needed(evaluation.alpha), 'calibration image')}, and there are "
            f"{evaluation.model.num_calibration}. Calibrate with more normal images, or ask for a higher rate."
        )
    found = (
        f"At the threshold it finds {percent(summary.tpr_at_threshold)} of the anomalies and raises a false alarm on "
        f"{percent(summary.fpr_at_threshold)} of the normal images. {_parts_sentence(summary)}"
    )
    asked = f"A false-alarm rate of {percent_as_given(evaluation.alpha)} was asked for"
    num_normal, num_false = _false_alarms(evaluation, evaluation.threshold)
    fewest, most = false_alarms_by_chance(evaluation.alpha, evaluation.model.num_calibration, num_normal)
    if (evaluation.images.scores[~evaluation.images.labels] == evaluation.threshold).any():
        fewest = 0  # of equal scores there may be any number at the threshold, and none of them is above it
    if fewest <= num_false <= most:
        return f"{found}{asked}."
    how, what = ("more", "differ from") if num_false > most else ("fewer", "have lower scores than")
    shifted = shifted_term(evaluation)
    where = f" The term {shifted.name} has moved most, by {_deviations(shifted)}." if shifted else ""
    of_parts = "" if evaluation.images.counted is None else " of new parts"
    return (
        f"{found}{asked}: there are far {how} false alarms than that, and chance does not explain it; chance gives "
        f"{percent(fewest / num_normal)} to {percent(most / num_normal)}{of_parts}. These normal images {what} those "
        f"that the model was calibrated with: has the light, the camera or the lot of parts changed?{where} Calibrate "
        "with new normal images like these (anomaly calibrate)."
    )


def threshold_sentence(evaluation: Evaluation, summary: Summary) -> str | None:
    """That the threshold misses most anomalies though the scores rank well, why and what to do; None where it does not.

    The scores rank well if a threshold finds most anomalies that raises no more false alarms on these same normal
    images than was asked for. It is told, and never used. If chance can explain that the threshold in force is so much
    higher, nothing is said.
    """
    if summary.tpr_at_threshold is None or summary.tpr_at_threshold >= _MOST:
        return None
    fitting = _Fitting.of(evaluation)
    if fitting.share_found < _WELL or fitting.chance >= _CHANCE:
        return None
    return (
        f"The threshold misses most anomalies, although the scores rank well: one that fits these normal images would "
        f"find {percent(fitting.share_found)}, with no more false alarms than was asked for. The threshold is too high "
        "for these images. A likely cause: the model was calibrated with unlike images, or with defective ones. "
        "Calibrate with good images of today's light, camera and lot (anomaly calibrate)."
    )


def term_sentence(evaluation: Evaluation, summary: Summary) -> str | None:
    """Which term alone separates far better than the score, why that may be, and what to do; None where none does."""
    better = better_term(summary)
    if better is None:
        return None
    shifted = shifted_term(evaluation)
    cause = (
        f"normal test images have moved in the term {shifted.name}, by {_deviations(shifted)}, and that outweighs it"
        if shifted and shifted.name != better.name
        else "other terms say the opposite, as after a training that failed in part"
    )
    return (
        f"The term {better.name} alone separates better (AUROC {percent(better.value)}) than the score "
        f"({percent(summary.image.auroc)}). A likely cause: {cause}. Train again with another seed, more steps or "
        "another score.combine, and judge that on other images: what is chosen on these looks better than it is."
    )


def outliers_sentence(evaluation: Evaluation) -> str | None:
    """How many images pass though one term is extreme, and which; None where none does."""
    passed = passed_outliers(evaluation)
    if not passed:
        return None
    counts = Counter(term.name for term in passed.values()).most_common()
    terms = ", ".join(f"{name} in {count}" for name, count in counts)
    path, furthest = max(passed.items(), key=lambda item: item[1].value)
    return (
        f"Not called anomalous, though one term lies more than {evaluation.model.outlying:.3g} standard deviations "
        f"above normal images: {len(passed):,} of {counted(len(evaluation.images.paths), 'image')} ({terms}). Look at "
        f"them; the furthest is {path}, with {furthest.name} at {_deviations(furthest)}."
    )


def pixel_sentence(evaluation: Evaluation) -> str | None:
    """How good the heatmaps are, and of how many of the anomalous images that tells; None without masks."""
    pixel = evaluation.pixel
    if pixel is None:
        return None
    num_defects = int(evaluation.images.labels.sum())
    left_out = [counted(pixel.num_without, "has no mask", "have no mask")] if pixel.num_without else []
    if pixel.failures:
        left_out.append(f"the masks of {counted(len(pixel.failures), 'image')} cannot be used (metrics.json says why)")
    why = f": {' and '.join(left_out)}" if left_out else ""
    if pixel.region is not None:
        why += f". Only the region counts, {percent(pixel.region)} of each picture"
        outside = "anomalous image has its defects outside", "anomalous images have their defects outside"
        why += f", and {counted(pixel.num_outside, *outside)}" if pixel.num_outside else ""
    if pixel.auroc is None:
        return f"There are no pixel figures{why}."
    return (
        f"Pixel AUROC {percent(pixel.auroc)}, AUPRO {percent(pixel.aupro)}, over {pixel.num_anomalous} of "
        f"{counted(num_defects, 'anomalous image')} and {counted(pixel.num_normal, 'normal one')}{why}."
    )


def inverted_sentence(evaluation: Evaluation) -> str | None:
    """Which masks seem to be inverted, and what that does; None where none does."""
    inverted = evaluation.pixel.inverted if evaluation.pixel else ()
    if not inverted:
        return None
    if len(inverted) == 1:
        what = f"A mask may be inverted: {inverted[0]} marks most of the picture with its four corners"
    else:
        what = (
            f"{len(inverted)} masks may be inverted, such as {inverted[0]} (metrics.json names all): they mark most of "
            "the picture with its four corners"
        )
    return (
        f"{what}, and most other masks mark little. If so, the pixel figures are wrong: white must be the defect. "
        f"Invert {'it' if len(inverted) == 1 else 'them'} and evaluate again, unless the defect does fill the picture."
    )


def kinds_sentence(summary: Summary) -> str | None:
    """Which kinds of anomaly are found worst, and how sure that is; None where there is only one kind."""
    kinds = sorted(summary.auroc_by_kind.items(), key=lambda item: item[1])
    if len(kinds) < 2:
        return None
    told = [f"{kind or NO_KIND} {percent(value)} ({_span(summary.ci95_by_kind[kind])})" for kind, value in kinds]
    worst = ", ".join(told[:NUM_HARDEST])
    warning = "; guessing gives 50%" if kinds[0][1] < _NEAR_GUESSING else ""
    if len(kinds) <= NUM_HARDEST:
        return f"AUROC by kind of anomaly with 95% intervals, worst first: {worst}{warning}."
    return (
        f"AUROC by kind of anomaly with 95% intervals, the worst {NUM_HARDEST} of {len(kinds)}: {worst}{warning}. "
        f"The best: {told[-1]}."
    )


def _span(interval: Interval) -> str:
    return f"{percent(interval[0])} to {percent(interval[1])}"


def comparison_sentence(evaluation: Evaluation, summary: Summary) -> str:
    """Whether the detector is better than all plain baselines, and which of them is better or as good."""
    standing = summary.standing
    if standing is Standing.ALONE:
        return (
            "No baseline was measured, because there are no other normal images to fit one on. A simpler method may do "
            "as well."
        )
    name = summary.closest_rival
    baseline, own = told_apart(summary.rivals[name].auroc, summary.image.auroc)
    best = f"{BASELINE_NAMES.get(name, name)} with an AUROC of {baseline}"
    match standing:
        case Standing.AHEAD if threshold_sentence(evaluation, summary):
            return (
                f"It ranks better than the plain baselines, but its threshold is too high. The best of them is {best}."
            )
        case Standing.AHEAD:
            return f"It is better than the plain baselines. The best of them is {best}."
        case Standing.LEVEL:
            is_best = summary.rivals[name].auroc == max(rival.auroc for rival in summary.rivals.values())
            return (
                f"It is neither better nor worse than {'the best' if is_best else 'a'} plain baseline, {best}, against "
                f"{own} for this model, within the uncertainty of the measurement on these images."
            )
        case Standing.BEHIND:
            return (
                f"A plain baseline is better: {best}, against {own} for this model. "
                "Train it longer, with larger images, or with other settings."
            )


def told_apart(first: float, second: float) -> tuple[str, str]:
    """Two shares with as many digits as tell them apart; equal ones as ever."""
    if first == second:
        return percent(first), percent(second)
    texts = ((f"{100 * first:.{digits}f}%", f"{100 * second:.{digits}f}%") for digits in range(1, 15))
    return next((pair for pair in texts if pair[0] != pair[1]), (percent(first), percent(second)))


def _parts_sentence(summary: Summary) -> str:
    """The false alarms where parts are counted; empty where they are not."""
    if summary.num_parts is None:
        return ""
    if not summary.num_parts:
        return (
            "No test normal shows a part that is new to the model, so how many false alarms there are on new parts is "
            "not known. "
        )
    return (
        f"Of {counted(summary.num_parts, 'part that is', 'parts that are')} new to the model, one normal "
        f"picture each, it raises one on {percent(summary.fpr_of_parts)}. "
    )


def _deviations(term: TermFound) -> str:
    return f"{term.value:+.1f} standard deviations"


def _false_alarms(evaluation: Evaluation, threshold: float) -> tuple[int, int]:
    """The number of normal test images, and of those above the threshold; with parts, one image of each new part.

    Pictures of one part are not drawn independently, so chance does not explain them one by one.
    """
    images = evaluation.images
    scores = images.scores[~images.labels if images.counted is None else images.counted]
    return len(scores), int(np.sum(is_above(scores, threshold)))


class _Fitting(NamedTuple):
    """The least threshold above which at most alpha of the test normals lie.

    `share_found` is the share of the anomalies above it, and `chance` the probability that as many calibration scores
    reach it, or more, if they and the test normals are alike: it is the J-th highest of m normals, so the share of
    normals above it has the distribution Beta(J, m + 1 - J), and the calibration scores among n are beta-binomial.
    """

    share_found: float
    chance: float

    @classmethod
    def of(cls, evaluation: Evaluation) -> Self:
        from scipy.stats import betabinom  # here, because it takes a second to import

        images = evaluation.images
        is_normal = images.counted if images.counted is not None and images.counted.any() else ~images.labels
        falling = np.flatnonzero(is_normal)[np.argsort(-images.scores[is_normal], kind="stable")]
        num_above = num_allowed(evaluation.alpha, len(falling) - 1)  # the most of so many that are at most alpha
        row = falling[num_above]
        share = is_above(images.scores[images.labels], float(images.scores[row])).mean()
        n = evaluation.model.num_calibration
        num_reaching = round(float(images.p_values[row]) * (n + 1)) - 1
        law = betabinom(n, num_above + 1, len(falling) - num_above)
        return cls(float(share), float(law.sf(num_reaching - 1)))
