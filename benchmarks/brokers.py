"""A real MQTT broker, Mosquitto, as a program of its own on a free port of 127.0.0.1, and who listens to it."""

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

START_S = 20.0
OPEN = ("allow_anonymous true", "max_queued_messages 100000")


def mosquitto() -> str | None:
    """The program; Debian has it where only root looks. None where it is not installed."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    """One that nobody uses now."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def broker(folder: Path, *, port: int = 0, settings: Sequence[str] = OPEN) -> Iterator[int]:
    """A broker with these lines in its configuration, ready to take connections; its port."""
    program = mosquitto()
    if program is None:
        raise SystemExit("mosquitto is not installed: apt-get install mosquitto")
    port = port or free_port()
    configuration = folder / f"mosquitto-{port}.conf"
    lines = [f"listener {port} 127.0.0.1", *settings]
    configuration.write_text("\n".join(lines) + "\n")
    process = subprocess.Popen(
        [program, "-c", str(configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def subscribed(port: int, topic: str) -> Iterator[list[dict[str, Any]]]:
    """What comes to the topic with QoS 1, as long as the broker runs."""
    rows: list[dict[str, Any]] = []
    is_subscribed = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)

    def take(client: Client, userdata: Any, message: MQTTMessage) -> None:
        assert message.qos == 1
        rows.append(json.loads(message.payload))

    client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
    client.on_subscribe = lambda *_: is_subscribed.set()
    client.on_message = take
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        assert is_subscribed.wait(START_S)
        yield rows
    finally:
        client.disconnect()
        client.loop_stop()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), timeout=1)):
            return
        time.sleep(0.05)
    raise SystemExit("mosquitto did not start")
