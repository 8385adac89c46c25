"""Alerts as people get them: what each warns of is done to a real server, which a real Prometheus reads.

The rules are the shipped ones, with all their times 60 times as short.
"""

import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.deploy.server import IMAGES, Watched, watched
from tests.deploy.test_prometheus import answer, configured, prometheus

pytestmark = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="Prometheus is not installed (Debian: prometheus)"
)
SHORTER = 60
SECONDS = {"s": 1, "m": 60, "h": 3600}
EACH_S = "1s"
LIMIT_S = 60


def shortened(duration: str) -> str:
    """A time of a rule, a second at the least."""
    number, unit = re.fullmatch(r"(\d+)([smh])", duration).groups()  # type: ignore[union-attr]
    return f"{max(1, int(number) * SECONDS[unit] // SHORTER)}s"


def shorten(rules: Path) -> None:
    """Have all that these rules look back over, and wait for, take less time."""
    groups = yaml.safe_load(rules.read_text("utf-8"))
    for rule in groups["groups"][0]["rules"]:
        rule["expr"] = re.sub(r"\[(\w+)\]", lambda found: f"[{shortened(found[1])}]", rule["expr"])
        rule |= {"for": shortened(rule["for"])} if "for" in rule else {}
    rules.write_text(yaml.safe_dump(groups), "utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the server's files are."""
    return tmp_path / "served"


@pytest.fixture
def server(folder: Path) -> Iterator[Watched]:
    """One that may be harmed."""
    folder.mkdir()
    with watched(folder) as server:
        yield server


@pytest.fixture
def read(server: Watched, tmp_path: Path) -> Iterator[httpx.Client]:
    """A Prometheus that has read it, by such rules."""
    configuration = configured(
        tmp_path / "etc",
        server.key,
        times={"scrape_interval": EACH_S, "scrape_timeout": EACH_S, "evaluation_interval": EACH_S},
        job=server.job,
    )
    shorten(configuration.with_name("rules.yml"))
    with prometheus(configuration, tmp_path / "data") as client:
        wait(lambda: answer(client, "/api/v1/query", query="count_over_time(anomaly_queue_images[1m]) >= 3")["result"])
        yield client


def wait(until: Callable[[], Any]) -> Any:
    """What it says once that is something."""
    limit = time.monotonic() + LIMIT_S
    while not (said := until()):
        assert time.monotonic() < limit
        time.sleep(0.2)
    return said


def firing(read: httpx.Client) -> dict[str, str]:
    """The alerts that fire, by name, with their summaries."""
    alerts = [each for each in answer(read, "/api/v1/alerts")["alerts"] if each["state"] == "firing"]
    said = [text for each in alerts for text in each["annotations"].values()]
    assert not [text for text in said if re.search(r"<no value>|\{\{|%!", text)]
    return {each["labels"]["alertname"]: each["annotations"]["summary"] for each in alerts}


def test_alerts_begin_with_what_they_warn_of_and_end_with_it(read: httpx.Client, server: Watched, folder: Path) -> None:
    assert firing(read) == {}

    files = [("files", ("six.png", IMAGES["six.png"]))] * 128
    server.client.post("/score/batch", files=files).raise_for_status()  # the first that it scores at all
    found = {
        "AnomalyDrift": "The images for mnist/2 no longer look like its calibration images",
        "AnomalyManyFlagged": "100% of the images for mnist/2 have p ≤ 0.05",
    }
    wait(lambda: firing(read) == found)

    refused = folder / "models" / "mnist" / "3"
    shutil.copytree(folder / "models" / "mnist" / "2", refused)
    (refused / "weights.safetensors").unlink()
    os.kill(server.pid, signal.SIGHUP)
    wait(lambda: firing(read).get("AnomalyBundleRefused") == f"{server.address} refuses mnist/3")
    shutil.rmtree(refused)
    os.kill(server.pid, signal.SIGHUP)
    wait(lambda: "AnomalyBundleRefused" not in firing(read))

    away = (folder / "history").rename(folder / "away")
    wait(lambda: firing(read).get("AnomalyHistoryFailing") == f"{server.address} cannot write its history")
    away.rename(folder / "history")
    wait(lambda: server.client.post("/score", files={"file": IMAGES["zero.png"]}).json()["history_id"])
    wait(lambda: "AnomalyHistoryFailing" not in firing(read))

    os.kill(server.pid, signal.SIGTERM)
    wait(lambda: firing(read).get("AnomalyDown") == f"{server.address} does not answer")
