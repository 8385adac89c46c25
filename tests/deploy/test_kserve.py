"""The manifests for KServe: their fields by its own definitions, and their settings by a server that runs with them."""

import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema_rs import validator_for

from service.app import create_app
from service.edge.keys import add_key
from service.settings import Settings
from tests.deploy.server import SLOWEST_END_S
from tests.service.fakes import add_bundle, load_tagged, served

FOLDER = Path(__file__).parents[2] / "deploy" / "kserve"
KILLED_AFTER_S = 30
"""Kubernetes' own `terminationGracePeriodSeconds`; a ServingRuntime cannot set it."""
TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
PROBE = {
    "type": "object",
    "required": ["httpGet"],
    "properties": {
        "httpGet": {
            "type": "object",
            "required": ["path", "port"],
            "additionalProperties": False,
            "properties": {"path": TEXT, "port": {"type": "integer"}},
        },
        "initialDelaySeconds": {"type": "integer"},
        "periodSeconds": {"type": "integer"},
        "timeoutSeconds": {"type": "integer"},
        "failureThreshold": {"type": "integer"},
    },
    "additionalProperties": False,
}


def closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


def resource(api: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return closed(
        ["apiVersion", "kind", "metadata", "spec"],
        apiVersion={"const": api},
        kind={"const": kind},
        metadata=closed(["name"], name={"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"}),
        spec=spec,
    )


CONTAINER = closed(
    ["name", "image"],
    name={"const": "kserve-container"},
    image=TEXT,
    args={"type": "array", "items": TEXT},
    env={"type": "array", "items": closed(["name", "value"], name=TEXT, value=TEXT)},
    ports={
        "type": "array",
        "items": closed(["containerPort"], name=TEXT, containerPort={"type": "integer"}, protocol={"const": "TCP"}),
    },
    readinessProbe=PROBE,
    livenessProbe=PROBE,
    volumeMounts={
        "type": "array",
        "items": closed(["name", "mountPath"], name=TEXT, mountPath=TEXT, readOnly={"type": "boolean"}),
    },
    resources=closed([], requests={"type": "object"}, limits={"type": "object"}),
    securityContext={"type": "object"},
)
FORMAT = {"name": TEXT, "version": TEXT}
"""What these manifests use of KServe's definitions v1alpha1 (ServingRuntime) and v1beta1 (InferenceService)."""
SCHEMAS = {
    "serving-runtime.yaml": resource(
        "serving.kserve.io/v1alpha1",
        "ServingRuntime",
        closed(
            ["containers", "supportedModelFormats"],
            supportedModelFormats={
                "type": "array",
                "items": closed(["name"], **FORMAT, autoSelect={"type": "boolean"}),
            },
            protocolVersions={"type": "array", "items": {"enum": ["v1", "v2", "grpc-v1", "grpc-v2"]}},
            containers={"type": "array", "minItems": 1, "items": CONTAINER},
            volumes={"type": "array", "items": closed(["name", "secret"], name=TEXT, secret={"type": "object"})},
        ),
    ),
    "inference-service.yaml": resource(
        "serving.kserve.io/v1beta1",
        "InferenceService",
        closed(
            ["predictor"],
            predictor=closed(
                ["model"],
                minReplicas={"type": "integer"},
                model=closed(
                    ["modelFormat", "storageUri"],
                    runtime=TEXT,
                    modelFormat=closed(["name"], **FORMAT),
                    protocolVersion={"enum": ["v1", "v2", "grpc-v1", "grpc-v2"]},
                    storageUri={"type": "string", "pattern": "^(pvc|s3|gs|https)://"},
                ),
            ),
        ),
    ),
}


def manifest(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text("utf-8"))


def test_every_manifest_has_a_schema_here() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(SCHEMAS)


@pytest.mark.parametrize("name", list(SCHEMAS))
def test_manifests_have_the_fields_that_kserve_defines(name: str) -> None:
    assert [str(error) for error in validator_for(SCHEMAS[name]).iter_errors(manifest(name))] == []


def test_the_service_names_the_runtime_that_takes_its_format() -> None:
    runtime, service = manifest("serving-runtime.yaml"), manifest("inference-service.yaml")
    model = service["spec"]["predictor"]["model"]
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["modelFormat"] in [
        {key: each[key] for key in ("name", "version")} for each in runtime["spec"]["supportedModelFormats"]
    ]
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]


def test_a_server_with_the_runtimes_settings_answers_its_probes_and_its_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (container,) = manifest("serving-runtime.yaml")["spec"]["containers"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    key = add_key(tmp_path / "keys.txt", "line", ["score"])
    add_bundle(tmp_path / "models", "m")
    here = {"ANOMALY_MODELS": str(tmp_path / "models"), "ANOMALY_KEYS": str(tmp_path / "keys.txt")}
    assert here.keys() <= environment.keys()
    for name, value in (environment | here).items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.port == container["ports"][0]["containerPort"]
    assert settings.grace_s + SLOWEST_END_S < KILLED_AFTER_S
    settled = threading.Event()
    app = create_app(settings, load=load_tagged, on_settled=lambda pool: settled.set())
    with served(app, settings) as client:
        assert settled.wait(10)
        for probe in ("livenessProbe", "readinessProbe"):
            asked = container[probe]["httpGet"]
            assert asked["port"] == settings.port
            by_address = {"Host": "10.1.2.3:8080"}  # as kubelet calls a pod
            assert client.get(asked["path"], headers=by_address).status_code == 200
        for host in environment["ANOMALY_ALLOWED_HOSTS"].split(","):
            headers = {"Host": host, "Authorization": f"Bearer {key}"}
            assert client.get("/v2/models/m/ready", headers=headers).status_code == 200
