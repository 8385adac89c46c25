"""The compose file: what it names is there, and compose itself accepts it."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import read_settings
from tests.deploy.dockerfile import arguments
from tests.deploy.expressions import DEPLOY, ROOT
from tests.deploy.server import SLOWEST_END_S

COMPOSE = DEPLOY / "compose.yaml"
FILE: dict[str, Any] = yaml.safe_load(COMPOSE.read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
ANOMALY = SERVICES["anomaly"]
DEFAULT = re.compile(r"\$\{\w+:-([^}]*)\}")


def compose(choices: Path, text: str) -> subprocess.CompletedProcess[str]:
    """The file as compose resolves it with this text for `.env`, written to `choices`."""
    choices.write_text(text, "utf-8")
    command = ["docker-compose", "--env-file", str(choices), "--file", str(COMPOSE), "config"]
    path = {"PATH": os.environ["PATH"]}  # and nothing else that somebody has chosen here
    return subprocess.run(command, capture_output=True, text=True, check=False, env=path)


def mounts(service: str) -> list[list[str]]:
    """Source, place and mode of what is mounted, where nothing is chosen."""
    return [DEFAULT.sub(r"\1", mount).split(":") for mount in SERVICES[service]["volumes"]]


needs_compose = pytest.mark.skipif(
    shutil.which("docker-compose") is None, reason="docker-compose is not installed (Debian: docker-compose)"
)


@needs_compose
def test_compose_accepts_the_file(tmp_path: Path) -> None:
    done = compose(tmp_path / ".env", "GRAFANA_PASSWORD=chosen\n")
    assert done.returncode == 0, done.stderr
    resolved = yaml.safe_load(done.stdout)["services"]
    assert resolved.keys() == SERVICES.keys()
    assert resolved["anomaly"]["build"]["context"] == str(ROOT)
    assert f"{ROOT / 'models'}:/srv/models:ro" in resolved["anomaly"]["volumes"]


@needs_compose
def test_grafana_has_no_password_that_everybody_knows(tmp_path: Path) -> None:
    done = compose(tmp_path / ".env", "")
    assert done.returncode != 0
    assert "GRAFANA_PASSWORD" in done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_mounted_is_there_and_is_not_written(service: str) -> None:
    named = set(FILE["volumes"])
    for source, place, *mode in mounts(service):
        if source in named:
            assert mode == []
        else:
            assert (DEPLOY / source).is_dir(), f"{source} for {place}"
            assert mode == ["ro"]


def test_every_volume_is_used() -> None:
    assert {source for service in SERVICES for source, *_ in mounts(service) if "/" not in source} == set(
        FILE["volumes"]
    )


@pytest.mark.parametrize("service", SERVICES)
def test_this_machine_alone_may_call_unless_told_otherwise(service: str) -> None:
    assert all(DEFAULT.sub(r"\1", port).startswith("127.0.0.1:") for port in SERVICES[service]["ports"])


@pytest.mark.parametrize("service", SERVICES)
def test_services_have_no_rights_that_they_do_not_need(service: str) -> None:
    assert SERVICES[service]["cap_drop"] == ["ALL"]
    assert SERVICES[service]["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("service", ["prometheus", "grafana"])
def test_the_images_of_others_are_pinned(service: str) -> None:
    assert re.search(r":v?\d+\.\d+\.\d+$", SERVICES[service]["image"])


def test_the_settings_are_those_of_the_service() -> None:
    given = {name.removeprefix("ANOMALY_").lower(): value for name, value in ANOMALY["environment"].items()}
    chosen = read_settings(**{name: DEFAULT.sub(r"\1", value) for name, value in given.items()})
    assert chosen.allowed_hosts == ("anomaly",)  # as Prometheus calls it
    assert chosen.keys == Path("/srv/keys/keys.txt")
    assert chosen.default_model is not None
    assert (ROOT / "models" / chosen.default_model).is_dir()
    places = [Path(place) for _, place, *mode in mounts("anomaly") if not mode]
    for written in (chosen.keys, chosen.history):
        assert isinstance(written, Path)
        assert written.parent in places
    assert float(ANOMALY["stop_grace_period"].removesuffix("s")) >= chosen.grace_s + SLOWEST_END_S


def test_the_build_arguments_are_those_of_the_dockerfile() -> None:
    built = ANOMALY["build"]
    assert (DEPLOY / built["context"]).resolve() == ROOT
    for name, value in built["args"].items():
        assert DEFAULT.sub(r"\1", value) == arguments()[name]


def test_prometheus_reads_the_service_by_its_name() -> None:
    configuration = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text("utf-8"))
    (job,) = configuration["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["anomaly:8000"]}]
    assert "--config.file=/etc/prometheus/prometheus.yml" in SERVICES["prometheus"]["command"]
    assert ["./prometheus", "/etc/prometheus", "ro"] in mounts("prometheus")


@pytest.mark.parametrize("path", ["deploy/.env", "deploy/prometheus/key"])
def test_secrets_are_not_committed(path: str) -> None:
    if not (ROOT / ".git").exists():
        # skipped, not failed: an unpacked archive has no git to ask; CI runs in a checkout
        pytest.skip("this is no checkout")
    assert subprocess.run(["git", "check-ignore", "--quiet", path], cwd=ROOT, check=False).returncode == 0
