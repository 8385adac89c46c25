"""MQTT 5 at a real Mosquitto: QoS 1, users, TLS, and a broker that goes and comes back."""

import gc
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from anomaly.errors import UsageError
from anomaly.pipeline.results import ResultRow
from anomaly.watch.targets import mqtt
from anomaly.watch.targets.mqtt import MqttTopic
from anomaly.watch.targets.target import DeliveryError
from benchmarks.brokers import broker, free_port, mosquitto, subscribed

pytestmark = pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed (Debian's package mosquitto)")
ROWS: list[ResultRow] = [{"id": f"{n:016x}", "path": f"{n}.png", "score": 0.5 * n} for n in range(50)]


def wait_for(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_each_row_is_a_message(tmp_path: Path) -> None:
    """A subscriber asserts that it has QoS 1."""
    with broker(tmp_path) as port, subscribed(port, "line 1/camera") as rows:
        target = MqttTopic(f"mqtt://127.0.0.1:{port}/line%201/camera")
        assert sum(target.deliver(ROWS)) == 50
        assert sum(target.deliver(ROWS[:1])) == 1
        wait_for(lambda: len(rows) == 51)
        target.close()
    assert rows == [*ROWS, ROWS[0]]


def test_nobody_needs_to_listen(tmp_path: Path) -> None:
    """The broker says "no matching subscribers", which is no failure."""
    with broker(tmp_path) as port:
        target = MqttTopic(f"mqtt://127.0.0.1:{port}/t")
        assert sum(target.deliver(ROWS)) == 50
        target.close()


def test_a_broker_that_goes_and_comes_back(tmp_path: Path) -> None:
    port = free_port()
    target = MqttTopic(f"mqtt://127.0.0.1:{port}/t")
    with pytest.raises(DeliveryError, match=rf"mqtt://127\.0\.0\.1:{port}/t: .*refused"):
        list(target.deliver(ROWS))
    with broker(tmp_path, port=port):
        assert sum(target.deliver(ROWS)) == 50
    with pytest.raises(DeliveryError):
        list(target.deliver(ROWS))
    with broker(tmp_path, port=port), subscribed(port, "t") as rows:
        assert sum(target.deliver(ROWS)) == 50
        wait_for(lambda: rows == ROWS)
    target.close()


def test_a_broker_that_is_started_anew_between_reports_is_no_failure(tmp_path: Path) -> None:
    port = free_port()
    target = MqttTopic(f"mqtt://127.0.0.1:{port}/t")
    with broker(tmp_path, port=port):
        assert sum(target.deliver(ROWS)) == 50
        lost = target._connection
    assert lost is not None
    wait_for(lambda: lost.is_lost)
    with broker(tmp_path, port=port):
        assert sum(target.deliver(ROWS)) == 50
    target.close()


def with_password(folder: Path) -> list[str]:
    """Settings of a broker that knows one user, who may write to one topic."""
    (folder / "passwords").touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", str(folder / "passwords"), "camera", "open sesame"], check=True)
    (folder / "rights").write_text("user camera\ntopic write allowed\n")
    for name in ("passwords", "rights"):
        (folder / name).chmod(0o644)
    return ["allow_anonymous false", f"password_file {folder}/passwords", f"acl_file {folder}/rights", "user root"]


def test_a_password_without_a_user_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(mqtt.PASSWORD, "open sesame")
    with pytest.raises(UsageError, match=f"{mqtt.PASSWORD} is set and {mqtt.USER} is not"):
        MqttTopic("mqtt://127.0.0.1/line1")


@pytest.mark.parametrize("empty", [mqtt.USER, mqtt.PASSWORD])
def test_an_empty_user_or_password_is_refused(monkeypatch: pytest.MonkeyPatch, empty: str) -> None:
    """It would be a connection without a user, or with a password that nobody chose."""
    if empty == mqtt.PASSWORD:
        monkeypatch.setenv(mqtt.USER, "camera")
    monkeypatch.setenv(empty, "")
    with pytest.raises(UsageError, match=f"{empty} is empty: give it a value, or unset it"):
        MqttTopic("mqtt://127.0.0.1/line1")


def test_users_and_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with broker(tmp_path, settings=with_password(tmp_path)) as port:

        def deliver(topic: str) -> int:
            target = MqttTopic(f"mqtt://127.0.0.1:{port}/{topic}")
            try:
                return sum(target.deliver(ROWS[:3]))
            finally:
                target.close()

        with pytest.raises(DeliveryError, match="it refuses the connection: Not authorized"):
            deliver("allowed")
        monkeypatch.setenv(mqtt.USER, "camera")
        monkeypatch.setenv(mqtt.PASSWORD, "open sesame")
        assert deliver("allowed") == 3
        with pytest.raises(DeliveryError, match="it refuses a message: Not authorized"):
            deliver("forbidden")
        monkeypatch.setenv(mqtt.PASSWORD, "wrong")
        with pytest.raises(DeliveryError, match="it refuses the connection: Not authorized"):
            deliver("allowed")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that nobody vouches for is refused; SSL_CERT_FILE names who does."""
    make_certificate(tmp_path)
    settings = ["allow_anonymous true", f"certfile {tmp_path}/tls.pem", f"keyfile {tmp_path}/tls.key", "user root"]
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with broker(tmp_path, settings=settings) as port:
        target = MqttTopic(f"mqtts://127.0.0.1:{port}/t")
        with pytest.raises(DeliveryError, match="CERTIFICATE_VERIFY_FAILED"):
            list(target.deliver(ROWS))
        gc.collect()  # of paho's socket, which it does not close
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "tls.pem"))
        assert sum(target.deliver(ROWS)) == 50
        target.close()


def make_certificate(folder: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.pem"), "-days", "2", "-subj", "/CN=test"]
    subprocess.run([*command, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)


@pytest.mark.parametrize("path", ["", "/", "/line/+/c", "/line/%23", "/line/#", "/line#2", "/line?qos=2", "/line?"])
def test_a_topic_without_wildcards_is_needed(path: str) -> None:
    """Also none that an address would cut, so that reports go to another topic than the one that was given."""
    with pytest.raises(UsageError, match="expected a topic without"):
        MqttTopic(f"mqtt://127.0.0.1{path}")
