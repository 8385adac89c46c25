"""The PromQL of the dashboard and of the alert rules, and what it names."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser as promql
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboards" / "anomaly.json").read_text("utf-8"))
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
VARIABLES: list[dict[str, Any]] = [each for each in DASHBOARD["templating"]["list"] if each["type"] == "query"]


@dataclass(frozen=True)
class Selector:
    """One series that an expression reads: its name, and what it wants of its labels."""

    name: str
    wanted: tuple[tuple[str, str, str], ...]
    """Label, operator, value."""


def filled(text: str, interval: str = "5m") -> str:
    """An expression as Grafana sends it, with all servers and models chosen."""
    text = text.replace("$__rate_interval", interval)
    for variable in VARIABLES:
        text = text.replace(f"${variable['name']}", variable["allValue"])
    assert "$" not in text, text
    return text


def queries() -> dict[str, str]:
    """Every expression of the dashboard, by its panel and letter."""
    return {f"{panel['title']} {each['refId']}": each["expr"] for panel in PANELS for each in panel["targets"]}


def variable_selectors() -> Iterator[tuple[Selector, str]]:
    """What each variable of the dashboard is read from: a series and one of its labels."""
    for variable in VARIABLES:
        found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
        assert found, variable
        (selector,) = selectors(filled(found[1]))
        yield selector, found[2]


def selectors(expression: str) -> list[Selector]:
    """All series that an expression reads. Raises ValueError if it is no PromQL."""
    return [_selector(node) for node in _nodes(promql.parse(expression)) if isinstance(node, promql.VectorSelector)]


def groupings(expression: str) -> set[str]:
    """All labels that an expression keeps by name."""
    found = re.findall(r"\b(?:by|on|group_left) ?\(([^)]*)\)", expression)
    return {label.strip() for labels in found for label in labels.split(",") if label.strip()}


def _selector(node: promql.VectorSelector) -> Selector:
    wanted = tuple((each.name, str(each.op), each.value) for each in node.matchers.matchers)
    assert node.name
    return Selector(node.name, wanted)


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    for name in ("lhs", "rhs", "expr", "param", "vector_selector", "args"):
        inner = getattr(node, name, None)
        for each in inner if isinstance(inner, list) else [inner]:
            if each is not None:
                yield from _nodes(each)
