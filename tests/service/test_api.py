"""Schemathesis reads the OpenAPI document and looks for requests whose answers are not as it says.

A few cases an operation are enough for every change; `make hostile` takes ANOMALY_API_EXAMPLES, more than 5,000 in all,
and prints its summary. api_checks.toml lists what it may not expect, with the reasons.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from shutil import copytree

from service.edge.keys import add_key
from tests.service.api_hooks import SERVED, SPARE
from tests.service.processes import running

ROOT = Path(__file__).parents[2]
NUM_EXAMPLES = int(os.environ.get("ANOMALY_API_EXAMPLES", "10"))
CHECKS = ROOT / "tests" / "service" / "api_checks.toml"


def test_every_answer_is_as_the_openapi_document_says(bigan_dir: Path, tmp_path: Path) -> None:
    for name in (SERVED, SPARE):
        copytree(bigan_dir, tmp_path / "models" / name)
    key = add_key(tmp_path / "keys.txt", "plant", ["score", "admin"])
    settings = {"KEYS": str(tmp_path / "keys.txt"), "RATE_LIMIT": "1000000", "DEFAULT_MODEL": SERVED}
    settings |= {"HISTORY": str(tmp_path / "history.sqlite"), "HISTORY_THUMBNAILS": "true"}
    with running(tmp_path / "models", **{f"ANOMALY_{name}": value for name, value in settings.items()}) as process:
        command = [
            sys.executable, "-m", "schemathesis.cli", "--config-file", str(CHECKS),
            "run", f"{process.client.base_url}/openapi.json",
            "--header", f"Authorization: Bearer {key}", "--max-examples", str(NUM_EXAMPLES), "--seed", "1",
            "--continue-on-failure", "--no-color", "--generation-database", "none",
        ]  # fmt: skip
        hooks = {"SCHEMATHESIS_HOOKS": "tests.service.api_hooks", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(  # its cache goes into the folder that it runs in
            command, cwd=tmp_path, env=os.environ | hooks, capture_output=True, text=True, check=False, timeout=1200
        )
        metrics = process.client.get("/metrics", headers={"Authorization": f"Bearer {key}"}).text
    print(done.stdout)  # noqa: T201
    assert done.returncode == 0, done.stdout + done.stderr
    (num_cases,) = re.findall(r"(\d+) generated, \d+ passed", done.stdout)
    (num_scored,) = re.findall(r'anomaly_requests_total{code="200",route="/score"} (\d+)', metrics)
    assert int(num_cases) > 5 * NUM_EXAMPLES  # some operations take no parameters, and have one case
    assert int(num_scored) > NUM_EXAMPLES / 5  # real images were among them
