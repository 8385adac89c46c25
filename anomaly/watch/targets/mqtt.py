"""Reports to a topic of an MQTT 5 broker, with QoS 1: each has arrived when the broker says so.

Source: MQTT 5.0 (OASIS), section 4.3.2 "QoS 1: At least once delivery"; section 3.4.2.1 for the broker's reasons.
"""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from anomaly.errors import UsageError, reason_of
from anomaly.extras import require
from anomaly.pipeline.results import ResultRow
from anomaly.watch.targets.target import DeliveryError
from anomaly.watch.targets.variables import value_of

if TYPE_CHECKING:
    from paho.mqtt.client import Client
    from paho.mqtt.reasoncodes import ReasonCode

USER, PASSWORD = "ANOMALY_MQTT_USER", "ANOMALY_MQTT_PASSWORD"  # the variables' names
TIMEOUT_S = 10.0


class MqttTopic:
    """A connection that is made when there is something to report, and made anew after any failure."""

    def __init__(self, address: str) -> None:
        require("MQTT", "watch", "paho.mqtt.client")
        parts = urlsplit(address)
        self._address = address
        self._host = parts.hostname or ""
        self._is_tls = parts.scheme == "mqtts"
        self._port = parts.port or (8883 if self._is_tls else 1883)
        self._topic = unquote(parts.path.removeprefix("/"))
        is_cut = "?" in address or "#" in address  # what is behind these is no part of an address' path
        if is_cut or not self._topic or any(sign in self._topic for sign in "+#\0"):
            raise UsageError(
                f"--to {address}: expected a topic without +, # and ?, such as mqtt://HOST/line1/camera; for a ? in a "
                "topic write %3F. There are no options: each report has QoS 1"
            )
        user, password = value_of(USER), value_of(PASSWORD)
        if password is not None and user is None:
            raise UsageError(f"{PASSWORD} is set and {USER} is not, so no password would be sent; set both, or neither")
        self._connection: _Connection | None = None

    def deliver(self, rows: Sequence[ResultRow]) -> Iterator[int]:
        """See `Target`."""
        if self._connection is not None and self._connection.is_lost:  # while there was nothing to report
            self.close()
        try:
            if self._connection is None:
                self._connection = _Connection(self._host, self._port, is_tls=self._is_tls)
            yield from self._connection.publish(self._topic, [json.dumps(row, allow_nan=False) for row in rows])
        except (OSError, DeliveryError) as error:
            self.close()
            raise DeliveryError(f"{self._address}: {reason_of(error)}") from error

    def close(self) -> None:
        """See `Target`."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Connection:
    """A client of paho and its thread. What the broker says of each message is kept until it is read."""

    def __init__(self, host: str, port: int, *, is_tls: bool) -> None:
        self._answered = threading.Condition()
        self._answers: dict[int, ReasonCode] = {}
        self._welcomes: list[ReasonCode] = []
        self.is_lost = False
        self._client = self._make_client(is_tls)
        self._client.connect(host, port, keepalive=30)
        self._client.loop_start()
        try:
            self._wait(lambda: bool(self._welcomes), "it does not answer")
            if self._welcomes[0].is_failure:
                raise DeliveryError(f"it refuses the connection: {self._welcomes[0]}")
        except DeliveryError:
            self.close()
            raise

    def publish(self, topic: str, payloads: Sequence[str]) -> Iterator[int]:
        """The number of payloads that have arrived, once or, where one is refused, before that is raised."""
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ContentType = "application/json"
        numbers = [self._client.publish(topic, each, qos=1, properties=properties).mid for each in payloads]
        self._wait(lambda: all(number in self._answers for number in numbers), "it does not acknowledge messages")
        failures = [self._answers[number].is_failure for number in numbers]
        num_arrived = failures.index(True) if True in failures else len(failures)
        refusal = self._answers[numbers[num_arrived]] if num_arrived < len(numbers) else None
        self._answers.clear()
        if num_arrived:
            yield num_arrived
        if refusal is not None:
            raise DeliveryError(f"it refuses a message: {refusal}")

    def close(self) -> None:
        """End the connection and its thread."""
        self._client.disconnect()
        self._client.loop_stop()

    def _make_client(self, is_tls: bool) -> "Client":
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5, reconnect_on_failure=False)
        client.connect_timeout = TIMEOUT_S
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect
        if user := value_of(USER):
            client.username_pw_set(user, value_of(PASSWORD))
        if is_tls:
            client.tls_set_context(ssl.create_default_context())
        return client

    def _wait(self, is_done: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        with self._answered:
            while not is_done():
                left = deadline - time.monotonic()
                if left <= 0 or self.is_lost:
                    raise DeliveryError("the connection is lost" if self.is_lost else otherwise)
                self._answered.wait(left)

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason: "ReasonCode", properties: Any) -> None:
        with self._answered:
            self._welcomes.append(reason)
            self._answered.notify_all()

    def _on_publish(self, client: Any, userdata: Any, number: int, reason: "ReasonCode", properties: Any) -> None:
        with self._answered:
            self._answers[number] = reason
            self._answered.notify_all()

    def _on_disconnect(self, client: Any, userdata: Any, flags: Any, reason: "ReasonCode", properties: Any) -> None:
        with self._answered:
            self.is_lost = True
            self._answered.notify_all()
