"""Two servers over one PostgreSQL behind nginx: a short form of each round that `make load-replicas` plays."""

import shutil
import sys
from pathlib import Path
from shutil import copytree

import pytest

from benchmarks.balancer import NGINX
from benchmarks.postgres import PostgresServer
from benchmarks.replicas import Pair
from tests.digit_images import normals, write_images

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="kills processes"),
    # skipped, not failed: nginx is a program of Debian; `.ci/run` installs it
    pytest.mark.skipif(
        not shutil.which(NGINX), reason="there is no nginx; install it with: apt-get install nginx-light"
    ),
]


@pytest.fixture
def pair(bigan_dir: Path, tmp_path: Path, postgres: PostgresServer) -> Pair:
    copytree(bigan_dir, tmp_path / "models" / "m")
    images = [path.read_bytes() for path in write_images(tmp_path / "images", normals())]
    return Pair(tmp_path / "models", "m", images, postgres)


def test_nothing_is_lost_rows_are_in_order_and_drift_is_that_of_a_single_server(pair: Pair) -> None:
    found = pair.count(300)
    assert found.problems == []
    assert [answer.status for answer in found.answers] == [200] * len(found.answers)
    assert len(found.rows) >= 300


def test_a_killed_server_loses_no_acknowledged_row(pair: Pair) -> None:
    found = pair.kill(300)
    assert found.problems == []
    assert len(found.rows) >= 200


def test_a_database_that_is_stopped_costs_rows_that_are_counted_and_no_score(pair: Pair) -> None:
    found = pair.stop_database(2.0)
    assert found.problems == []
    assert {answer.status for answer in found.answers} == {200}
