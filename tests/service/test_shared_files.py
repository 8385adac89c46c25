"""Servers that share a folder of bundles and a file of keys: each takes what has changed when it is told."""

import threading
from contextlib import ExitStack
from pathlib import Path

import httpx

from service.app import create_app
from service.edge.keys import add_key
from service.settings import Settings
from tests.service.fakes import add_bundle, load_tagged, png, served


def test_each_server_takes_new_keys_and_bundles_when_it_is_told(tmp_path: Path) -> None:
    settings = Settings(models=tmp_path / "models", keys=tmp_path / "keys.txt")
    add_bundle(settings.models, "m")
    old = add_key(tmp_path / "keys.txt", "old", ["score"])
    settled = [threading.Event(), threading.Event()]
    apps = [create_app(settings, load=load_tagged, on_settled=lambda pool, e=event: e.set()) for event in settled]  # type: ignore[misc]
    with ExitStack() as stack:
        clients = [stack.enter_context(served(app, settings)) for app in apps]
        assert all(event.wait(10) for event in settled)
        new = add_key(tmp_path / "keys.txt", "new", ["score"])
        add_bundle(settings.models, "m", 2)
        apps[0].state.refresh()
        assert [ask(client, old) for client in clients] == [2, 1]
        assert [ask(client, new) for client in clients] == [2, "unauthenticated"]
        apps[1].state.refresh()
        assert [ask(client, new) for client in clients] == [2, 2]


def ask(client: httpx.Client, key: str) -> object:
    """The version that answers, or the code of the refusal."""
    head = {"Content-Type": "image/png", "Authorization": f"Bearer {key}"}
    answer = client.post("/score", content=png(1), headers=head).json()
    return answer.get("version") or answer["error"]["code"]
