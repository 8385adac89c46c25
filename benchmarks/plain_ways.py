"""Four parts of the service against the plain way, side by side in one run.

    python -m benchmarks.plain_ways {shortcut,forms,joining,door} [--rounds 9] [--seconds 4]

Two servers run at the same time: one as it is, one whose part is replaced by the plain way. Load goes to one and to the
other by turns, the first of a pair alternating, and each pair gives a ratio; the median of these counts.

- shortcut: `AnswerDirectly`, against a Starlette `Route` in front of the framework's router.
- forms: `FormReader`, against Starlette's `MultiPartParser` with files that are kept in memory.
- joining: `JoiningTransport`, against uvicorn's own writes.
- door: `Door`, against refusals by the app, as goodput under ten times as many requests as can be served.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.drawings import draw_line, draw_texture, train_on_textures, write_files
from benchmarks.load import Load, send
from benchmarks.serving import Program

SHORTCUT, FORMS, JOINING, DOOR = "shortcut", "forms", "joining", "door"
CHOICE = "PLAIN_WAY"


def replace(part: str) -> None:
    """Put the plain way in the place of a part, in this process."""
    if part == SHORTCUT:
        _plain_routes()
    elif part == FORMS:
        _plain_forms()
    elif part == JOINING:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

        from service.edge import protocol

        def connection_made(self: Any, transport: Any) -> None:
            HttpToolsProtocol.connection_made(self, transport)
            self._start_receiving()

        protocol.BoundedProtocol.connection_made = connection_made  # type: ignore[method-assign]
    elif part == DOOR:
        from service.edge import protocol

        protocol.BoundedProtocol._turn_away = lambda self: None  # type: ignore[method-assign]


def _plain_routes() -> None:
    from starlette.routing import Route

    from service import app as module
    from service.routes import score

    class PassOn:
        def __init__(self, app: Any, routes: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.app(scope, receive, send)

    setattr(module, "AnswerDirectly", PassOn)  # noqa: B010
    create_app = module.create_app

    def with_routes(*args: Any, **kwargs: Any) -> Any:
        app = create_app(*args, **kwargs)
        app.router.routes.insert(0, Route("/score", score.score, methods=["POST"]))
        app.router.routes.insert(1, Route("/score/batch", score.score_batch, methods=["POST"]))
        return app

    module.create_app = with_routes


def _plain_forms() -> None:
    from starlette.datastructures import UploadFile
    from starlette.formparsers import MultiPartException, MultiPartParser

    from service import uploads
    from service.errors import MalformedRequestError
    from service.edge.forms import Upload

    class InMemory(MultiPartParser):
        spool_max_size = 0

    async def read_form(self: Any, request: Any, room: Any, field: str, *, max_files: int) -> list[Upload]:
        parser = InMemory(request.headers, self._pieces(request, room), max_files=max_files)
        try:
            form = await parser.parse()
        except MultiPartException as error:
            raise MalformedRequestError(error.message) from None
        found = [each for each in form.getlist(field) if isinstance(each, UploadFile)]
        return [Upload(each.filename or "", await each.read()) for each in found]

    uploads.Uploads._read_form = read_form  # type: ignore[method-assign]


@contextmanager
def serving(models: Path, part: str | None, **settings: Any) -> Iterator[Program]:
    """`anomaly serve`, with one part replaced."""
    settings = {"log_level": "warning", "models": models, "port": 0} | settings
    environment = os.environ | {f"ANOMALY_{name.upper()}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "benchmarks.plain_ways", "serve", "--models", str(models), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment | {CHOICE: part or ""})
    try:
        assert process.stdout
        for line in process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
                yield Program(process, int(found[1]))
                break
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Measure one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=[SHORTCUT, FORMS, JOINING, DOOR])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--models", type=Path, help="for `door`: a folder that has the bundle `textures` already")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "images"
        if options.part == DOOR:
            models = options.models or train_on_textures(Path(temporary) / "models", 256)
            write_files(folder, 200, draw_texture, 256)
            settings: dict[str, Any] = {"deadline_s": 2.0}
        else:
            models = Path("models")
            write_files(folder, 2000, draw_line, 28)
            settings = {"default_model": "mnist"}
        with serving(models, None, **settings) as ours, serving(models, options.part, **settings) as plain:
            compare(options, folder, ours, plain)


def compare(options: argparse.Namespace, folder: Path, ours: Program, plain: Program) -> None:
    """Print a line a pair, and the median of the ratios."""
    more: list[object] = ["--form"] if options.part == FORMS else []
    ratios, costs = [], []
    for server in (ours, plain):
        capacity = send(server.port, folder, "--seconds", 4, *more).rate
    if options.part == DOOR:
        more = ["--rate", 10 * capacity, "--clients", 600]
        print(f"capacity {capacity:.1f} images/s; now {10 * capacity:.0f} requests/s", flush=True)
    for i in range(options.rounds):
        found: dict[Program, tuple[Load, float]] = {}
        for server in (ours, plain) if i % 2 == 0 else (plain, ours):
            cpu = server.cpu_s()
            load = send(server.port, folder, "--seconds", options.seconds, *more)
            found[server] = load, 1e3 * (server.cpu_s() - cpu) / len(load.scored)
        (a, a_ms), (b, b_ms) = found[ours], found[plain]
        ratios.append(a.rate / b.rate)
        costs.append(a_ms / b_ms)
        print(
            f"{i}: as it is {a.rate:8.1f} images/s, {a_ms:.3f} core-ms; plain {b.rate:8.1f}, {b_ms:.3f}; "
            f"ratio {ratios[-1]:.3f}, of core-ms {costs[-1]:.3f}",
            flush=True,
        )
    print(
        f"{options.part}: median ratio of images/s {statistics.median(ratios):.3f}, of core-ms a scored image "
        f"{statistics.median(costs):.3f}, of {options.rounds} pairs"
    )


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        replace(os.environ[CHOICE])
        from anomaly.cli import app

        app()
    else:
        main()
