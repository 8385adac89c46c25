"""A PostgreSQL server of one's own: Debian's programs, in a folder of its own, on a free port of this machine."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg

USER = "postgres"
"""Who owns it, and in whose name the programs run where root starts them, as they refuse to be root's."""
HBA = """
host all locked 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
"""


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`; None if they are not installed."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return places[-1] if places else None


class PostgresServer:
    """A running server, which can be stopped, frozen and started again on its data."""

    def __init__(self, bin_: Path, folder: Path) -> None:
        self._bin = bin_
        self._data = folder / "data"
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port: int = listener.getsockname()[1]
        self._num = 0
        _run(bin_ / "initdb", "--pgdata", self._data, "--username", USER, "--encoding", "UTF8", "--locale", "C.UTF-8")
        (self._data / "pg_hba.conf").write_text(HBA)
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": ""}
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with (self._data.parent / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_as_user(), self._bin / "postgres", "-D", self._data, *settings], stdout=log, stderr=log, cwd="/"
            )
        for _ in range(600):
            try:
                psycopg.connect(self.url(USER), connect_timeout=2).close()
            except psycopg.OperationalError:
                assert self._process.poll() is None, (self._data.parent / "log").read_text()
                time.sleep(0.05)
            else:
                return
        raise AssertionError((self._data.parent / "log").read_text())

    def stop(self) -> None:
        """At once, its clients are cut off; what was committed is there when it starts again."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """None of its processes answers, and no connection breaks."""
        processes = [psutil.Process(self._process.pid)]
        processes += processes[0].children(recursive=True)
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    def url(self, database: str, user: str = USER, password: str | None = None) -> str:
        """Of a database."""
        return f"postgresql://{user}{f':{password}' if password else ''}@127.0.0.1:{self.port}/{database}"

    def new_database(self, options: str = "") -> str:
        """The URL of an empty one."""
        self._num += 1
        name = f"history_{self._num}"
        self.do(f"CREATE DATABASE {name} {options}")
        return self.url(name)

    def do(self, statement: str, database: str = USER) -> None:
        """As its owner."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A server, until this is left. Raises FileNotFoundError if it is not installed."""
    bin_ = programs()
    if bin_ is None:
        raise FileNotFoundError("PostgreSQL is not installed (Debian: postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="anomaly-postgres-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, USER, USER)
        server = PostgresServer(bin_, folder)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def _as_user() -> list[str]:
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups"] if os.geteuid() == 0 else []


def _run(*command: object) -> None:
    subprocess.run([*_as_user(), *map(str, command)], check=True, capture_output=True, cwd="/")
