"""The service as `deploy/compose.yaml` runs it, with keys, a history and the shipped model; here by HTTPS."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from service.edge.keys import add_key
from service.engine.batcher import LAST_BATCH_S
from service.records.history.writer import ACKNOWLEDGE_S
from tests.deploy.expressions import ROOT
from tests.service.certificates import make_certificate
from tests.service.processes import running

SLOWEST_END_S = LAST_BATCH_S + ACKNOWLEDGE_S
"""How long after `grace_s` a server may still run: it waits for a batch, and for the history."""
IMAGES = {name: (ROOT / "docs" / "examples" / name).read_bytes() for name in ("zero.png", "six.png")}


@dataclass(frozen=True)
class Watched:
    """A running server, and by which key and certificate it may be read."""

    client: httpx.Client
    key: str
    certificate: Path
    pid: int

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.client.base_url.host}:{self.client.base_url.port}"

    @property
    def job(self) -> dict[str, Any]:
        """What Prometheus must know to read it."""
        tls = {"ca_file": str(self.certificate)}
        return {"scheme": "https", "tls_config": tls, "static_configs": [{"targets": [self.address]}]}

    def send_some(self) -> None:
        """A normal image, an anomalous one, a damaged one alone and in a batch, a call without a key."""
        answers = [self._score(data) for data in IMAGES.values()]
        assert [answer.json()["is_anomalous"] for answer in answers] == [False, True]
        assert self._score(b"text").status_code == 415
        files = [("files", (name, data)) for name, data in (IMAGES | {"damaged.png": b"text"}).items()]
        assert self.client.post("/score/batch", files=files).status_code == 200
        without_key = self.client.build_request("GET", "/models")
        del without_key.headers["Authorization"]
        assert self.client.send(without_key).status_code == 401

    def series(self) -> dict[str, list[dict[str, str]]]:
        """All series that `/metrics` has: their labels, by name."""
        found: dict[str, list[dict[str, str]]] = {}
        for family in text_string_to_metric_families(self.client.get("/metrics").text):
            for sample in family.samples:
                found.setdefault(sample.name, []).append(dict(sample.labels))
        return found

    def _score(self, data: bytes) -> httpx.Response:
        return self.client.post("/score", content=data, headers={"Content-Type": "image/png"})


@contextmanager
def watched(folder: Path) -> Iterator[Watched]:
    """Such a server, with its files in `folder`: `models`, `keys.txt`, `history` and `tls`."""
    shutil.copytree(ROOT / "models" / "mnist", folder / "models" / "mnist")
    keys = folder / "keys.txt"
    key = add_key(keys, "prometheus", ["score"])
    add_key(keys, "guest", ["score"], expires="9999-12-31")
    (folder / "history").mkdir()
    settings = {"ANOMALY_KEYS": str(keys), "ANOMALY_HISTORY": str(folder / "history" / "history.sqlite")}
    made = make_certificate(folder / "tls")
    settings |= {"ANOMALY_TLS_CERT": str(made["tls_cert"]), "ANOMALY_TLS_KEY": str(made["tls_key"])}
    with running(folder / "models", **settings) as process:
        process.client.headers["Authorization"] = f"Bearer {key}"
        yield Watched(process.client, key, made["tls_cert"], process.pid)
