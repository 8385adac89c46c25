"""The manifests for Kubernetes: their fields by Kubernetes' own schemas, and what they name by the service itself."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from service.app import create_app
from service.edge.keys import add_key
from service.records.telemetry import Telemetry
from service.settings import Settings, read_settings
from tests.deploy.expressions import DEPLOY, ROOT
from tests.deploy.server import SLOWEST_END_S
from tests.service.fakes import add_bundle, load_tagged

FOLDER = DEPLOY / "kubernetes"
FILES = sorted(path.name for path in FOLDER.iterdir())
VERSIONS = ("1.30", kubernetes_validate.latest_version())
"""From the first that knows `sleep` before a stop, to the newest whose schemas there are."""
PAGE = (ROOT / "docs" / "deploy.md").read_text("utf-8").partition("\n## Kubernetes\n")[2].partition("\n## ")[0]


def manifest(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text("utf-8"))


DEPLOYMENT = manifest("deployment.yaml")
POD = DEPLOYMENT["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
ENVIRONMENT = {each["name"]: each.get("value") for each in CONTAINER["env"]}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", FILES)
def test_manifests_have_the_fields_that_kubernetes_defines(name: str, version: str) -> None:
    kubernetes_validate.validate(manifest(name), version, strict=True)


def test_a_field_that_kubernetes_does_not_define_is_found() -> None:
    wrong = manifest("deployment.yaml")
    wrong["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readinesProbe"):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_what_refers_to_the_pods_means_these_pods() -> None:
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    service, budget, scaler = map(manifest, ("service.yaml", "disruption-budget.yaml", "autoscaler.yaml"))
    assert DEPLOYMENT["spec"]["selector"]["matchLabels"] == labels
    assert service["spec"]["selector"] == budget["spec"]["selector"]["matchLabels"] == labels
    target = scaler["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == (DEPLOYMENT["kind"], DEPLOYMENT["metadata"]["name"])
    assert "replicas" not in DEPLOYMENT["spec"]  # each apply would undo what the autoscaler has done
    assert budget["spec"]["minAvailable"] < scaler["spec"]["minReplicas"]


def test_settings_ports_and_probes_are_those_of_the_service(tmp_path: Path) -> None:
    assert {f"ANOMALY_{name.upper()}" for name in Settings.model_fields} >= set(ENVIRONMENT)
    add_key(tmp_path / "keys.txt", "line", ["score"])
    add_bundle(tmp_path / "models", "m")
    here = {"ANOMALY_MODELS": str(tmp_path / "models"), "ANOMALY_KEYS": str(tmp_path / "keys.txt")}
    here |= {"ANOMALY_HISTORY": str(tmp_path / "h")}  # a secret there
    chosen = {name.removeprefix("ANOMALY_").lower(): value for name, value in (ENVIRONMENT | here).items()}
    settings = read_settings(**chosen)
    (port,) = CONTAINER["ports"]
    assert (port["containerPort"], settings.insecure) == (settings.port, False)
    (served,) = manifest("service.yaml")["spec"]["ports"]
    app = create_app(settings, load=load_tagged)
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert CONTAINER[probe]["httpGet"]["path"] in app.openapi()["paths"]
        assert CONTAINER[probe]["httpGet"]["port"] == port["name"] == served["targetPort"]
    before_s = CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert POD["terminationGracePeriodSeconds"] >= before_s + settings.grace_s + SLOWEST_END_S
    assert CONTAINER["args"] == ["anomaly", "serve"]


def test_the_autoscaler_goes_by_a_series_that_there_is() -> None:
    (metric,) = manifest("autoscaler.yaml")["spec"]["metrics"]
    assert f"\n{metric['pods']['metric']['name']} " in Telemetry().exposition().decode()
    limit = Settings().max_queue
    assert int(metric["pods"]["target"]["averageValue"]) < limit / 4  # long before requests are refused


def test_no_container_may_do_more_than_serve() -> None:
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert user is not None
    pod, container = POD["securityContext"], CONTAINER["securityContext"]
    assert [pod["runAsUser"], pod["runAsGroup"]] == [int(user[1]), int(user[2])]
    assert pod["runAsNonRoot"] is True
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert POD["automountServiceAccountToken"] is False


def test_secrets_and_volumes_are_mounted_where_the_settings_look_and_the_page_says_how_to_make_them() -> None:
    mounts = {each["name"]: each for each in CONTAINER["volumeMounts"]}
    volumes = {each["name"]: each for each in POD["volumes"]}
    assert mounts.keys() == volumes.keys()
    assert ENVIRONMENT["ANOMALY_MODELS"] == mounts["models"]["mountPath"]
    assert Path(ENVIRONMENT["ANOMALY_KEYS"] or "").parent == Path(mounts["keys"]["mountPath"])
    assert mounts["models"]["readOnly"] is mounts["keys"]["readOnly"] is True
    (secret,) = [each["valueFrom"]["secretKeyRef"] for each in CONTAINER["env"] if "valueFrom" in each]
    assert ENVIRONMENT["ANOMALY_HISTORY"] is None
    assert f"create secret generic {secret['name']} --from-file={secret['key']}=" in PAGE
    assert f"create secret generic {volumes['keys']['secret']['secretName']} --from-file=keys.txt" in PAGE
    assert volumes["models"]["persistentVolumeClaim"]["claimName"] in PAGE


def test_the_pages_init_container_fits_the_deployment() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    added = yaml.safe_load(block)
    wanted = manifest("deployment.yaml")
    pod = wanted["spec"]["template"]["spec"]
    pod["initContainers"] = added["initContainers"]
    pod["volumes"] = [each for each in pod["volumes"] if each["name"] != "models"] + added["volumes"]
    kubernetes_validate.validate(wanted, VERSIONS[-1], strict=True)
    (container,) = added["initContainers"]
    assert {each["name"] for each in container["volumeMounts"]} <= {each["name"] for each in pod["volumes"]}
    assert container["securityContext"] == CONTAINER["securityContext"]


def test_the_page_names_every_file() -> None:
    assert all(name in PAGE for name in FILES)
