"""From and to an S3 endpoint on loopback, filled and read by a real client: the same bytes as on a disk."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import boto3
import pytest

from benchmarks.archives import hashes, run
from tests.distributed.archives import write_every_layout

MNIST = Path(__file__).parents[2] / "models" / "mnist"
START_S = 60.0


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """moto's server, with credentials for it in the environment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert server.poll() is None, "moto's server has ended"
                assert time.monotonic() < until, "moto's server does not start"
                time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def objects(client: Any, prefix: str) -> dict[str, bytes]:
    listed = client.list_objects_v2(Bucket="plant", Prefix=prefix)["Contents"]
    bodies = {each["Key"]: client.get_object(Bucket="plant", Key=each["Key"])["Body"] for each in listed}
    return {key.removeprefix(prefix): body.read() for key, body in bodies.items()}


def test_results_are_the_same_bytes_from_a_disk_and_from_a_bucket(endpoint: str, tmp_path: Path) -> None:
    source = write_every_layout(tmp_path / "src")
    told = run(MNIST, source, tmp_path / "dest", "--workers", 1)
    assert told.returncode == 1, told.stderr
    expected = hashes(tmp_path / "dest")
    client = boto3.client("s3", endpoint_url=f"http://{endpoint}")
    client.create_bucket(Bucket="plant")
    for path in source.rglob("*"):
        if path.is_file():
            client.upload_file(str(path), "plant", f"archive/{path.relative_to(source)}")
    query = f"?scheme=http&endpoint_override={endpoint}"
    bucket = f"s3://plant/archive{query}", f"s3://plant/scored{query}"
    told = run(MNIST, *bucket, "--workers", 1)
    assert told.returncode == 1, told.stderr
    assert "6 of 6 shards" in told.stdout
    found = objects(client, "scored/")
    assert {"_plan.json", "_manifest.json"} <= found.keys()
    results = {name: data for name, data in found.items() if name.endswith(".parquet")}
    assert {name: sha256(data).hexdigest() for name, data in results.items()} == expected
    again = run(MNIST, *bucket, "--workers", 1)
    assert "46 rows, 46 of them before" in again.stdout, again.stderr
    status = subprocess.run(
        [Path(sys.executable).with_name("anomaly"), "archive", "--status", bucket[1]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "6 of 6 shards" in status.stdout, status.stderr
