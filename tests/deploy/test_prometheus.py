"""The configuration and the alerts in a real Prometheus, which reads a real server; `promtool` checks both."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.deploy.expressions import DEPLOY, PANELS, RULES, filled
from tests.deploy.server import Watched

RULE_TESTS = sorted(Path(__file__).parent.glob("rules*_test.yml"))
pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool and Prometheus are not installed (Debian: prometheus)"
)
INTERVAL = "2m"
"""What the dashboard's rates look back over: all that was read, however slow the machine is."""
NUM_READ = 5
TIMEOUT_S = 120


def promtool(*arguments: str | Path) -> str:
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def configured(folder: Path, key: str, **changes: Any) -> Path:
    """The shipped folder of configuration with a key, and with some of it changed."""
    shutil.copytree(DEPLOY / "prometheus", folder, dirs_exist_ok=True)
    (folder / "key").write_text(f"{key}\n")
    configuration = yaml.safe_load((folder / "prometheus.yml").read_text("utf-8"))
    configuration["global"] |= changes.get("times", {})
    configuration["scrape_configs"][0] |= changes.get("job", {})
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration), "utf-8")
    return folder / "prometheus.yml"


def test_promtool_accepts_the_configuration_and_the_rules(tmp_path: Path) -> None:
    said = promtool("check", "config", "--lint=all", "--lint-fatal", configured(tmp_path, "KEY"))
    assert f"SUCCESS: {len(RULES)} rules found" in said


def test_alerts_fire_when_they_should_and_not_otherwise() -> None:
    promtool("test", "rules", *RULE_TESTS)


def test_each_alert_is_seen_to_fire_and_not_to_fire() -> None:
    tests = [test for path in RULE_TESTS for test in yaml.safe_load(path.read_text("utf-8"))["tests"]]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    for fires in (True, False):
        seen = {case["alertname"] for case in cases if bool(case["exp_alerts"]) is fires}
        assert seen == {rule["alert"] for rule in RULES}


@contextmanager
def prometheus(configuration: Path, data: Path) -> Iterator[httpx.Client]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    options = [f"--config.file={configuration}", f"--storage.tsdb.path={data}", f"--web.listen-address={address}"]
    with subprocess.Popen(["prometheus", *options], stderr=subprocess.PIPE, text=True) as process:
        try:
            with httpx.Client(base_url=f"http://{address}", trust_env=False) as client:
                wait_for(client, process)
                yield client
        finally:
            process.terminate()
            process.communicate(timeout=30)


def wait_for(client: httpx.Client, process: "subprocess.Popen[str]") -> None:
    for _ in range(300):
        assert process.poll() is None, process.communicate()[1]
        try:
            if client.get("/-/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("Prometheus did not become ready")


@pytest.fixture(scope="module")
def read(server: Watched, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A Prometheus that has read a busy server for some seconds."""
    folder = tmp_path_factory.mktemp("prometheus")
    configuration = configured(
        folder / "etc",
        server.key,
        times={"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        job=server.job,
    )
    with prometheus(configuration, folder / "data") as client:
        until = time.monotonic() + TIMEOUT_S
        while not has_read_enough(client):
            assert time.monotonic() < until, client.get("/api/v1/targets").text
            server.send_some()
            time.sleep(0.3)
        yield client


def answer(client: httpx.Client, path: str, **query: str) -> Any:
    got = client.get(path, params=query)
    assert got.json()["status"] == "success", got.text
    return got.json()["data"]


def has_read_enough(client: httpx.Client) -> bool:
    """Whether it has read the server some times, and has compared what it read with the rules."""
    read = answer(client, "/api/v1/query", query=f"count_over_time(anomaly_queue_images[{INTERVAL}]) >= {NUM_READ}")
    judged = answer(client, "/api/v1/query", query='ALERTS{alertname="AnomalyRequestsRefused"}')
    return bool(read["result"] and judged["result"])


def test_it_reads_the_server_by_its_key(read: httpx.Client, server: Watched) -> None:
    (target,) = answer(read, "/api/v1/targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    assert target["labels"] == {"instance": server.address, "job": "anomaly"}


@pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])
def test_every_query_of_a_panel_finds_something(read: httpx.Client, panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        found = answer(read, "/api/v1/query", query=filled(target["expr"], INTERVAL))
        assert found["result"], target["expr"]
        assert all(each["value"][1] != "NaN" for each in found["result"]), json.dumps(found["result"])


def test_the_flagged_share_is_that_of_what_was_sent(read: httpx.Client) -> None:
    (panel,) = [panel for panel in PANELS if panel["title"] == "Flagged share"]
    ((_, share),) = [
        each["value"] for each in answer(read, "/api/v1/query", query=filled(panel["targets"][0]["expr"]))["result"]
    ]
    assert float(share) == pytest.approx(0.5, abs=0.1)  # one image of two


def test_it_evaluates_every_rule(read: httpx.Client) -> None:
    (group,) = answer(read, "/api/v1/rules")["groups"]
    assert [rule["name"] for rule in group["rules"]] == [rule["alert"] for rule in RULES]
    assert {(rule["health"], rule.get("lastError")) for rule in group["rules"]} == {("ok", None)}
    states = {rule["name"]: rule["state"] for rule in group["rules"]}
    assert (states["AnomalyDown"], states["AnomalyHistoryFailing"]) == ("inactive", "inactive")
    assert states["AnomalyRequestsRefused"] == "pending"  # two requests of five are wrong
