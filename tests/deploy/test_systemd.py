"""The unit for systemd and its settings."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from service.settings import Settings, read_settings
from tests.deploy.expressions import DEPLOY
from tests.deploy.server import SLOWEST_END_S

UNIT = DEPLOY / "systemd" / "anomaly.service"
ENVIRONMENT = DEPLOY / "systemd" / "anomaly.env"
WORST_EXPOSURE = 2.0
"""Of 10, by `systemd-analyze security`; below 2 it calls a unit safe."""
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (Debian: systemd)"
)


def options() -> dict[str, list[str]]:
    """The unit's options with their values, in order."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text("utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def settings(*, chosen_only: bool) -> dict[str, str]:
    """The variables of the settings' file; without `chosen_only` those behind # too."""
    pattern = r"^(ANOMALY_\w+)=(.*)$" if chosen_only else r"^(?:# )?(ANOMALY_\w+)=(.*)$"
    return dict(re.findall(pattern, ENVIRONMENT.read_text("utf-8"), re.MULTILINE))


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, check=False)


@needs_systemd
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    """With a program that is there in the place of the one that is not."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text("utf-8").replace("/opt/anomaly/bin/anomaly", "/bin/true"), "utf-8")
    done = analyze("verify", "--man=no", unit)
    assert (done.returncode, [line for line in done.stderr.splitlines() if UNIT.name in line]) == (0, [])


@needs_systemd
def test_systemd_calls_the_unit_safe() -> None:
    done = analyze("security", "--offline=true", "--no-pager", UNIT)
    (exposure,) = re.findall(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert float(exposure) < WORST_EXPOSURE, done.stdout


def test_it_runs_as_its_own_user_with_its_own_settings() -> None:
    unit = options()
    assert unit["User"] == unit["Group"] == ["anomaly"]
    assert unit["EnvironmentFile"] == [f"/etc/anomaly/{ENVIRONMENT.name}"]
    assert unit["ExecStart"] == ["/opt/anomaly/bin/anomaly serve"]
    assert unit["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert unit["Restart"] == ["always"]


def test_the_settings_are_those_of_the_service() -> None:
    assert {f"ANOMALY_{name.upper()}" for name in Settings.model_fields} >= set(settings(chosen_only=False))
    chosen = {name.removeprefix("ANOMALY_").lower(): value for name, value in settings(chosen_only=True).items()}
    assert read_settings(**chosen).host == "127.0.0.1"


def test_what_the_service_writes_is_where_the_unit_lets_it_write() -> None:
    unit, chosen = options(), settings(chosen_only=True)
    state = f"/var/lib/{unit['StateDirectory'][0]}"
    assert Path(chosen["ANOMALY_HISTORY"]).is_relative_to(state)
    assert unit["ReadOnlyPaths"] == [f"-{chosen['ANOMALY_MODELS']}"]


def test_a_stop_has_longer_than_the_service_takes() -> None:
    (timeout_s,) = options()["TimeoutStopSec"]
    assert int(timeout_s) >= Settings.model_fields["grace_s"].default + SLOWEST_END_S
