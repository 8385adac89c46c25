"""docs/deploy.md names what there is, and all of it."""

import re

from benchmarks.image_check import VARIANTS
from tests.deploy.dockerfile import arguments
from tests.deploy.expressions import DEPLOY, ROOT, RULES

PAGE = (ROOT / "docs" / "deploy.md").read_text("utf-8")


def first_cells(heading: str) -> list[str]:
    """What is set as code in the first column of the table below a line that begins so."""
    table = PAGE.partition(heading)[2].lstrip().partition("\n\n")[0]
    return [name for row in table.splitlines() for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


def test_every_build_argument_is_explained() -> None:
    assert first_cells("| build argument | default | |") == list(arguments())


def test_every_variable_of_the_compose_file_is_explained() -> None:
    used = set(re.findall(r"\$\{(\w+):", (DEPLOY / "compose.yaml").read_text("utf-8")))
    assert set(first_cells("In `.env` may stand too:")) == used


def test_every_alert_is_explained() -> None:
    assert sorted(first_cells("| alert | when | what to do |")) == sorted(rule["alert"] for rule in RULES)


def test_every_series_is_explained_with_the_service() -> None:
    """And nothing else: what a server measures is in one table of docs/service.md."""
    telemetry = (ROOT / "service" / "records" / "telemetry.py").read_text("utf-8")
    measured = set(re.findall(r'"(anomaly_\w+)"', telemetry))
    table = (ROOT / "docs" / "service.md").read_text("utf-8").partition("| series | labels | |")[2].partition("\n\n")[0]
    explained = {name for row in table.splitlines()[2:] for name in re.findall(r"`(anomaly_\w+)`", row.split("|")[1])}
    assert {name.removesuffix("_total") for name in explained} == measured


def test_the_variants_tried_are_those_described() -> None:
    described = set(re.findall(r"^\| `EXTRAS=(\S+?)`", PAGE, re.MULTILINE))
    assert described == {each.get("EXTRAS", arguments()["EXTRAS"]) for each in VARIANTS.values()}
