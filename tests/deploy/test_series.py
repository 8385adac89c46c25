"""Every series and label that the dashboard or an alert names is one that a real server has."""

import re

import pytest

from service.edge.keys import DAY_S, SOON_S
from service.errors import INTERNAL, STATUS
from tests.deploy.expressions import PANELS, RULES, filled, groupings, queries, selectors, variable_selectors
from tests.deploy.server import Watched
from tests.service.edge.test_callers import CALLS

OF_PROMETHEUS = {"up": {"instance", "job"}, "ALERTS": {"alertname", "alertstate", "instance", "job", "severity"}}
"""Series that Prometheus makes by itself."""
OF_TARGET = {"instance", "job"}
"""Labels that Prometheus adds to all that it reads."""
EXPRESSIONS = queries() | {rule["alert"]: rule["expr"] for rule in RULES}
CODES = {str(status) for status, _ in [*STATUS.values(), INTERNAL]} | {code for _, code in [*STATUS.values(), INTERNAL]}


def labels_of(server: Watched, name: str) -> set[str]:
    series = server.series()
    assert name in OF_PROMETHEUS or name in series, f"the server has no series {name}"
    return OF_PROMETHEUS.get(name) or OF_TARGET.union(*series[name])


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_names_series_and_labels_that_there_are(server: Watched, name: str) -> None:
    read = selectors(filled(EXPRESSIONS[name]))
    assert read
    for selector in read:
        assert {label for label, _, _ in selector.wanted} <= labels_of(server, selector.name), selector
    assert groupings(EXPRESSIONS[name]) <= set.union(*(labels_of(server, selector.name) for selector in read))


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_wants_values_that_there_are(server: Watched, name: str) -> None:
    """Each alternative of a pattern is met; a code of an error need not have happened."""
    series = server.series()
    for selector in selectors(filled(EXPRESSIONS[name])):
        for label, _, pattern in selector.wanted:
            if label in OF_TARGET:
                continue
            values = CODES if label == "code" else {each[label] for each in series[selector.name]}
            for alternative in [pattern] if "(" in pattern else pattern.split("|"):
                if not alternative.startswith("/v2/"):
                    assert any(re.fullmatch(alternative, value) for value in values), (selector, alternative, values)


@pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])
def test_a_legend_names_labels_that_its_expression_keeps(
    server: Watched, panel: dict[str, list[dict[str, str]]]
) -> None:
    for target in panel["targets"]:
        used = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        read = selectors(filled(target["expr"]))
        all_labels = set.union(*(labels_of(server, selector.name) for selector in read))
        assert used <= (groupings(target["expr"]) or all_labels)


def test_variables_are_read_from_series_that_there_are(server: Watched) -> None:
    found = {}
    for selector, label in variable_selectors():
        assert {label, *(each for each, _, _ in selector.wanted)} <= labels_of(server, selector.name)
        found[label] = selector.name
    assert found == {"instance": "anomaly_queue_images", "model": "anomaly_images_total"}


def test_everything_that_is_measured_is_on_the_dashboard(server: Watched) -> None:
    def family(name: str) -> str:
        return re.sub(r"_(total|bucket|sum|count|created)$", "", name)

    shown = {family(selector.name) for text in queries().values() for selector in selectors(filled(text))}
    assert {family(name) for name in server.series()} == shown


@pytest.mark.parametrize("name", ["AnomalyKeyExpires", "AnomalyCertificateExpires"])
def test_an_end_is_warned_of_as_early_as_in_the_log(name: str) -> None:
    (expression,) = [rule["expr"] for rule in RULES if rule["alert"] == name]
    assert f"time() + {SOON_S // DAY_S} * {DAY_S}" in expression


def test_the_whole_request_is_that_of_scoring_calls_alone() -> None:
    """Probes take no time, and loading a bundle takes long."""
    (wanted,) = {
        pattern
        for text in queries().values()
        for selector in selectors(filled(text))
        for label, _, pattern in selector.wanted
        if label == "route"
    }
    scoring = {"/score", "/score/batch", "/v2/models/{name}/infer", "/v2/models/{name}/versions/{version}/infer"}
    assert {path for path in CALLS if re.fullmatch(wanted, path)} == scoring
