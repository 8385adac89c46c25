import signal
from pathlib import Path

from service.app import create_app
from service.edge.server import Server
from service.settings import Settings
from tests.service.fakes import add_bundle, load_tagged


def test_a_signal_is_passed_on_at_once_and_then_stops_the_server(tmp_path: Path) -> None:
    add_bundle(tmp_path, "m")
    settings = Settings(models=tmp_path, grace_s=7.0)
    stops: list[str] = []
    app = create_app(settings, load=load_tagged)
    server = Server(app, settings, shedding=app.state.shedding, on_stop=lambda: stops.append("told"))
    assert server.config.timeout_graceful_shutdown == 7.0
    assert not server.should_exit
    server.handle_exit(signal.SIGTERM, None)
    assert stops == ["told"]
    assert server.should_exit
