"""What can be seen of the image without building it; `make image-check` builds it."""

import fnmatch
import json
import re
import tomllib
from typing import Any

import pytest

from benchmarks.image_check import SETTINGS, VARIANTS, VOLUMES
from service.settings import Settings, read_settings
from tests.deploy.dockerfile import Instruction, arguments, instructions
from tests.deploy.expressions import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def final() -> list[Instruction]:
    """Of the last stage."""
    last = instructions()[-1].stage
    return [each for each in instructions() if each.stage == last]


def values(name: str, among: list[Instruction]) -> list[str]:
    return [each.value for each in among if each.name == name]


def pairs(name: str) -> dict[str, str]:
    """`KEY=VALUE …` of the last stage."""
    texts = values(name, final())
    return {key: value.strip('"') for text in texts for key, value in re.findall(r'([\w.]+)=("[^"]*"|\S+)', text)}


def copied() -> list[str]:
    """What is copied of the project."""
    given = [each.split() for each in values("COPY", instructions())]
    return [word for words in given if "--from=build" not in words for word in words[:-1] if not word.startswith("--")]


def test_both_stages_have_the_base_that_was_asked_for() -> None:
    assert values("FROM", instructions()) == ["${BASE} AS build", "${BASE}"]
    assert re.fullmatch(r"python:3\.\d+-slim", arguments()["BASE"])


def test_the_base_has_a_python_that_the_project_supports() -> None:
    minor = int(re.findall(r"3\.(\d+)", arguments()["BASE"])[0])
    assert minor >= int(re.findall(r"3\.(\d+)", PROJECT["requires-python"])[0])


@pytest.mark.parametrize("extras", [arguments()["EXTRAS"], *(each["EXTRAS"] for each in VARIANTS.values() if each)])
def test_the_extras_are_those_of_the_project_and_can_serve(extras: str) -> None:
    assert {"server"} < set(extras.split(",")) <= set(PROJECT["optional-dependencies"])


def test_what_is_copied_is_there_and_gets_through_dockerignore() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").split()
    let_in = [line.removeprefix("!") for line in lines if line.startswith("!")]
    kept_out = [line for line in lines if not line.startswith("!") and line != "*"]
    assert lines[0] == "*"
    assert set(let_in) == set(copied())
    for name in copied():
        assert (ROOT / name).exists()
        assert not any(fnmatch.fnmatch(name, pattern) for pattern in kept_out)


def test_everything_that_the_project_consists_of_is_copied() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    needed = {*build["targets"]["wheel"]["packages"], PROJECT["readme"], *PROJECT["license-files"], "pyproject.toml"}
    assert needed < set(copied())


def test_it_runs_as_a_user_who_is_not_root_and_is_given_by_number() -> None:
    (user,) = values("USER", instructions())
    uid, gid = map(int, user.split(":"))  # by number, as Kubernetes' runAsNonRoot asks
    assert min(uid, gid) > 1000
    (made,) = values("RUN", final())
    assert f"--gid {gid} anomaly" in made
    assert f"--uid {uid} --gid anomaly" in made


def test_that_user_owns_what_may_be_a_volume_and_nothing_else() -> None:
    (made,) = values("RUN", final())
    assert made.endswith(f"install --directory --owner=anomaly --group=anomaly {' '.join(VOLUMES)}")
    owned = [each for each in values("COPY", final()) if "--chown" in each]
    assert owned == ["--chown=anomaly:anomaly models /srv/models"]


def test_installing_obeys_the_constraints_and_keeps_no_cache() -> None:
    installs = [text for text in values("RUN", instructions()) for text in text.split(";") if "pip install" in text]
    assert len(installs) == 2
    assert all("--no-cache-dir" in text and "--constraint constraints.txt" in text for text in installs)


def test_nothing_is_fetched_but_by_pip() -> None:
    assert not {"ADD"} & {each.name for each in instructions()}
    assert not re.search(r"\b(curl|wget|apt-get)\b", " ".join(values("RUN", instructions())))


def test_labels_say_what_it_is() -> None:
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in pairs("LABEL").items()}
    assert labels["title"] == PROJECT["name"]
    assert labels["version"] == PROJECT["version"]
    assert labels["licenses"] == PROJECT["license"]
    assert labels["description"].endswith(".")


def test_its_settings_are_those_of_the_service() -> None:
    chosen = {name.removeprefix("ANOMALY_").lower(): value for name, value in pairs("ENV").items() if "ANOMALY" in name}
    settings = read_settings(**chosen)
    assert (settings.host, settings.insecure) == ("0.0.0.0", True)  # noqa: S104  # compared, not bound
    assert settings.log_format == "json"
    assert str(settings.models) in VOLUMES
    assert all(value.rpartition("/")[0] in VOLUMES for value in SETTINGS.values())


def test_it_serves_where_its_health_is_asked_for() -> None:
    (command,) = values("CMD", final())
    assert json.loads(command) == ["anomaly", "serve", "--default-model", "mnist"]
    (health,) = values("HEALTHCHECK", final())
    port = Settings.model_fields["port"].default
    assert f"http://127.0.0.1:{port}/readyz" in health
    assert values("EXPOSE", final()) == [str(port)]
