"""Webhooks at a real server; their signatures verified by the library that receivers use."""

import base64
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from standardwebhooks import Webhook as Receiver
from standardwebhooks.webhooks import WebhookVerificationError

from anomaly.errors import UsageError
from anomaly.pipeline.results import ResultRow
from anomaly.watch.targets.opening import check_target, open_target
from anomaly.watch.targets.target import DeliveryError
from anomaly.watch.targets.webhook import SECRET, Webhook, read_secret, sign
from tests.watch.targets.endpoint import Endpoint, serving

TEXT = base64.b64encode(bytes(range(32))).decode()
ROWS: list[ResultRow] = [{"id": f"{n:016x}", "path": f"ü{n}\udcff.png", "score": 0.5 * n} for n in range(3)]


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serving(Endpoint()) as found:
        yield found


def test_a_receiver_can_verify_each_report(endpoint: Endpoint) -> None:
    target = Webhook(endpoint.address, base64.b64decode(TEXT))
    assert list(target.deliver(ROWS)) == [1, 1, 1]
    target.close()
    receiver = Receiver(f"whsec_{TEXT}")
    assert [receiver.verify(body, headers) for headers, body in endpoint.taken] == ROWS
    headers, body = endpoint.taken[0]
    assert headers["webhook-id"] == ROWS[0]["id"]
    assert headers["content-type"] == "application/json"
    assert abs(time.time() - int(headers["webhook-timestamp"])) < 60
    for changed in ({"webhook-id": "x"}, {"webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}):
        with pytest.raises(WebhookVerificationError):
            receiver.verify(body, headers | changed)
    with pytest.raises(WebhookVerificationError):
        receiver.verify(body + b" ", headers)


def test_the_signature_is_that_of_the_specification() -> None:
    """The example of its tests: secret, id, timestamp, body and signature."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    found = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_without_a_secret_there_is_no_signature(endpoint: Endpoint) -> None:
    target = Webhook(endpoint.address, None)
    list(target.deliver(ROWS[:1]))
    target.close()
    assert "webhook-signature" not in endpoint.taken[0][0]


@pytest.mark.parametrize("status", [301, 400, 404, 429, 500, 503])
def test_what_is_not_taken_has_not_arrived(endpoint: Endpoint, status: int) -> None:
    """The rows before it have."""
    endpoint.statuses = [200, status]
    target = Webhook(endpoint.address, None)
    arrived = target.deliver(ROWS)
    assert next(arrived) == 1
    with pytest.raises(DeliveryError, match=rf"http://127.0.0.1:{endpoint.port}/reports answers {status}") as caught:
        next(arrived)
    assert "hidden" not in str(caught.value)
    assert list(target.deliver(ROWS[1:])) == [1, 1]
    target.close()
    assert endpoint.rows == ROWS


def test_nobody_there_is_said() -> None:
    endpoint = Endpoint()
    with serving(endpoint):
        pass
    target = Webhook(endpoint.address, None)
    with pytest.raises(DeliveryError, match="does not answer"):
        list(target.deliver(ROWS))
    target.close()


@pytest.mark.parametrize("text", [TEXT, f"whsec_{TEXT}", f"{TEXT}\n"])
def test_the_secret_comes_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.delenv(SECRET, raising=False)
    assert read_secret(None) is None
    (tmp_path / "secret").write_text(text)
    assert read_secret(tmp_path / "secret") == bytes(range(32))
    monkeypatch.setenv(SECRET, text.strip())
    assert read_secret(None) == bytes(range(32))
    with pytest.raises(UsageError, match="is given twice"):
        read_secret(tmp_path / "secret")


def test_an_empty_secret_is_refused_and_sends_nothing_unsigned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `ANOMALY_WATCH_SECRET=` in a file of variables leaves it. A file that is given has the secret, then."""
    (tmp_path / "secret").write_text(TEXT)
    for empty in ("", " "):
        monkeypatch.setenv(SECRET, empty)
        with pytest.raises(UsageError, match=f"{SECRET} is empty: give it a value, or unset it"):
            read_secret(None)
    monkeypatch.setenv(SECRET, "")
    assert read_secret(tmp_path / "secret") == bytes(range(32))


def test_a_secret_of_a_windows_editor_is_read_as_well(tmp_path: Path) -> None:
    text = base64.b64encode(bytes(range(32))).decode()
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "secret").write_bytes(f"{text}\r\n".encode(encoding))
        assert read_secret(tmp_path / "secret") == bytes(range(32))


def test_a_file_that_has_no_secret_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff" * 32)  # as `openssl rand 32` writes them
    with pytest.raises(UsageError, match="is not base64 of at least 24 bytes"):
        read_secret(tmp_path / "bytes")
    for name, why in (("nothing", "No such file or directory"), (".", "Is a directory")):
        with pytest.raises(UsageError, match=rf"the secret's file .* cannot be read: {why}; give another one"):
            read_secret(tmp_path / name)


@pytest.mark.parametrize("text", ["", "short", "no base64!", base64.b64encode(b"x" * 23).decode()])
def test_a_weak_secret_is_refused_without_being_shown(tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text(text)
    with pytest.raises(UsageError, match="is not base64 of at least 24 bytes; make one by `openssl rand") as caught:
        read_secret(tmp_path / "file")
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize(
    ("to", "says"),
    [
        ("results.txt", r"expected FILE\.csv, FILE\.jsonl, https://"),
        ("ftp://host/x.csv", "expected FILE"),
        ("results.parquet", "expected FILE"),
        ("https://", "names no host"),
        ("https://host:port/", "is no address"),
        ("https://mes..example/", "its host is no name of a machine"),
        (f"mqtt://{64 * 'a'}.example/line", "between two dots stand 1 to 63 characters"),
        ("https://me:word@host/", "may hold no user and no password"),
        ("mqtt://me@host/topic", "ANOMALY_MQTT_USER"),
        ("no-such-folder/r.csv", "does not exist; create it first"),
    ],
)
def test_what_is_no_target_is_refused(to: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        check_target(to)
    assert "word" not in str(caught.value).replace("password", "")


@pytest.mark.parametrize("to", ["http://127.0.0.1/a\x7fb", "http://xn--a--/b"])
def test_an_address_that_no_request_can_have_is_refused_before_there_are_reports(to: str) -> None:
    with pytest.raises(UsageError, match="is no web address"):
        open_target(to, ["id"], secret=None)


def test_only_webhooks_are_signed(tmp_path: Path) -> None:
    for to in (str(tmp_path / "r.csv"), "mqtt://127.0.0.1/t"):
        with pytest.raises(UsageError, match="only webhooks are signed"):
            open_target(to, ["id"], secret=b"x" * 32)
