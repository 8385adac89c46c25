"""Which target is meant by an address."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from anomaly.errors import UsageError
from anomaly.pipeline.results import check_results_path
from anomaly.watch.targets.file import AppendedFile
from anomaly.watch.targets.target import Target

FORMS = "FILE.csv, FILE.jsonl, https://HOST/PATH or mqtt://HOST/TOPIC (mqtts:// with TLS)"


def open_target(to: str, columns: Sequence[str], *, secret: bytes | None) -> Target:
    """The target of this address. `columns` are those of a table; `secret` signs what goes to a webhook.

    Raises:
        UsageError: it is no address of a target, a library is missing, or a file has other columns.
        InUseError: another process writes the file.
    """
    check_target(to)
    scheme = urlsplit(to).scheme
    if scheme in ("http", "https"):
        from anomaly.watch.targets.webhook import Webhook

        return Webhook(to, secret)
    if secret is not None:
        raise UsageError(f"only webhooks are signed, and {to} is none; leave --secret-file and its variable away")
    if scheme in ("mqtt", "mqtts"):
        from anomaly.watch.targets.mqtt import MqttTopic

        return MqttTopic(to)
    return AppendedFile(Path(to), columns)


def check_target(to: str) -> None:
    """Before any work is done: is it an address? Raises UsageError."""
    try:
        parts = urlsplit(to)
        _ = parts.port
        (parts.hostname or "").encode("idna")  # as the system's search for its address does
    except UnicodeError as error:
        raise UsageError(
            f"--to {to}: its host is no name of a machine: between two dots stand 1 to 63 characters; expected {FORMS}"
        ) from error
    except ValueError as error:
        raise UsageError(f"--to {to}: is no address ({error}); expected {FORMS}") from error
    if parts.scheme in ("http", "https", "mqtt", "mqtts"):
        if not parts.hostname:
            raise UsageError(f"--to {to}: names no host; expected {FORMS}")
        if parts.username is not None or parts.password is not None:
            raise UsageError(
                "--to: an address on the command line is seen by everybody on this machine, so it may hold no user and "
                "no password; MQTT takes them from ANOMALY_MQTT_USER and ANOMALY_MQTT_PASSWORD"
            )
    elif "://" in to or Path(to).suffix not in (".csv", ".jsonl"):
        raise UsageError(f"--to {to}: expected {FORMS}")
    else:
        check_results_path(Path(to))
