"""Pages from this package's templates: each needs no other file, no script and no network.

Every text from outside, file names above all, passes jinja's autoescape.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Self

from jinja2 import Environment, StrictUndefined

from anomaly.counted import counted, percent, percent_as_given
from anomaly.report.heat import LEGEND
from anomaly.report.pictures import data_uri, legend_uri
from anomaly.report.plots import DARK, LIGHT, Theme

HOW_HEATMAPS_ARE_DRAWN = (
    "no colour up to the strongest place of an ordinary normal image; yellow from four times that; equal steps of "
    "colour are equal factors. The image below is darkened. Where an image is called anomalous, a white box is around "
    "the strongest place, also where that has no colour"
)


@dataclass(frozen=True)
class Chart:
    """One figure for pages of either colour scheme, as data URIs."""

    alt: str
    light: str
    dark: str

    @classmethod
    def of(cls, alt: str, draw: Callable[[Theme], bytes]) -> Self:
        """The figure that `draw` makes as a PNG file."""
        return cls(alt, data_uri(draw(LIGHT)), data_uri(draw(DARK)))


def render(template: str, **values: object) -> str:
    """The whole page as HTML. A template has `css`, `legend`, `legend_words` and `heatmaps` beside the values."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"percent": percent, "percent_as_given": percent_as_given}
    environment.filters |= {"number": _number, "counted": counted, "reason": _reason}
    package = files(__package__)
    return environment.from_string(package.joinpath(template).read_text("utf-8")).render(
        css=package.joinpath("report.css").read_text("utf-8"),
        legend=legend_uri(),
        legend_words=LEGEND,
        heatmaps=HOW_HEATMAPS_ARE_DRAWN,
        **values,
    )


def _reason(text: str, path: str) -> str:
    """Why a file failed, for a row that has its path already."""
    return text.removeprefix(f"{path}: ")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
