"""The dashboard as Grafana reads it: checked by Grafana's own types, as no Grafana runs here."""

import json
from typing import Any

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.deploy.expressions import DASHBOARD, DEPLOY, PANELS, VARIABLES

PROVISIONING = DEPLOY / "grafana" / "provisioning"
SUBJECTS = ["Throughput", "Latency by stage", "Queue", "What is found", "Drift", "Errors"]


def lost(given: Any, kept: Any, place: str = "") -> set[str]:
    """Where `kept` lacks, or has otherwise, what was `given`."""
    if isinstance(given, dict) and isinstance(kept, dict):
        return {each for key in given for each in lost(given[key], kept.get(key), f"{place}/{key}")}
    if isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        return {each for i, pair in enumerate(zip(given, kept, strict=True)) for each in lost(*pair, f"{place}/{i}")}
    return set() if given == kept else {place}


def read_by_grafana(dashboard: dict[str, Any]) -> dict[str, Any]:
    """What remains of a dashboard that went through Grafana's types: fields that it does not know are gone."""
    register_default_plugins()
    kept: dict[str, Any] = json.loads(JSONEncoder(sort_keys=False).encode(Dashboard.from_json(dashboard)))
    return kept


def test_grafana_knows_every_field() -> None:
    """But two: the texts of annotations belong to its plug-in for Prometheus, of which there are no types."""
    annotation = "/annotations/list/0"
    assert lost(DASHBOARD, read_by_grafana(DASHBOARD)) == {f"{annotation}/titleFormat", f"{annotation}/textFormat"}


def test_a_field_that_grafana_does_not_know_would_be_noticed() -> None:
    wrong = json.loads(json.dumps(DASHBOARD))
    wrong["panels"][1]["targets"][0]["expression"] = wrong["panels"][1]["targets"][0].pop("expr")
    assert "/panels/1/targets/0/expression" in lost(wrong, read_by_grafana(wrong))


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    cells: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        taken = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not taken & cells, panel["title"]
        cells |= taken


def test_every_subject_has_panels_and_every_panel_says_what_it_shows() -> None:
    kinds = ["row" if panel["type"] == "row" else "panel" for panel in DASHBOARD["panels"]]
    assert [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"] == SUBJECTS
    assert all(after == "panel" for kind, after in zip(kinds, [*kinds[1:], "row"], strict=True) if kind == "row")
    assert all(len(panel["description"]) > 20 for panel in PANELS)


def test_queries_go_to_the_chosen_source_of_data() -> None:
    source = {"type": "prometheus", "uid": "${datasource}"}
    asked = [*PANELS, *(target for panel in PANELS for target in panel["targets"]), *VARIABLES]
    assert all(each["datasource"] == source for each in asked)


def test_the_provisioned_source_and_folder_are_those_of_the_compose_file() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]
    mounted = dict(mount.split(":")[:2] for mount in services["grafana"]["volumes"])
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text("utf-8"))["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    assert services["prometheus"]["ports"] == ["127.0.0.1:9090:9090"]
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "anomaly.yml").read_text("utf-8"))["providers"]
    folder = provider["options"]["path"]
    assert mounted["./grafana/dashboards"] == folder
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{folder}/anomaly.json"
    assert (DEPLOY / "grafana" / "dashboards" / "anomaly.json").is_file()
    assert mounted["./grafana/provisioning"] == "/etc/grafana/provisioning"
