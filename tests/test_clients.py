"""The programs of docs/clients.md and docs/protocol.md, run as they are printed, against a server with keys.

Only the server's address and the key are put in. A generated client scores by the samples of the OpenAPI document.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.edge.keys import add_key
from service.schemas import samples
from service.schemas.inference import InferAnswer, InferRequest
from service.schemas.score import BatchAnswer, ScoreAnswer
from tests.service.processes import running

ROOT = Path(__file__).parents[1]
MODEL = "mnist"
PICTURE = ROOT / "docs" / "examples" / "six.png"
ADDRESS, KEY = "127.0.0.1:8000", "anomaly_KEY"
QUICK_JVM = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
ONLY_CODE = "apis,models,supportingFiles,apiTests=false,modelTests=false,apiDocs=false,modelDocs=false"


def programs(page: str) -> dict[str, list[tuple[str, str]]]:
    """The blocks of code below each heading, with their languages."""
    sections = re.split(r"^## ", (ROOT / "docs" / page).read_text("utf-8"), flags=re.MULTILINE)[1:]
    return {
        section.partition("\n")[0]: re.findall(r"^```(\w+)\n(.*?)^```", section, flags=re.DOTALL | re.MULTILINE)
        for section in sections
    }


CLIENTS, PROTOCOL = programs("clients.md"), programs("protocol.md")
needs_java = pytest.mark.skipif(not shutil.which("java"), reason="needs java, Debian's default-jdk-headless")


@dataclass(frozen=True)
class Line:
    """A folder with a picture, and a server with a key."""

    folder: Path
    url: str
    key: str
    score: float
    document: dict[str, Any]

    def run(self, command: list[str], name: str, program: str) -> str:
        """What a program prints; it is put into a file of this name."""
        own = program.replace(ADDRESS, self.url.removeprefix("http://")).replace(KEY, self.key)
        (self.folder / name).write_text(own, "utf-8")
        clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        done = subprocess.run(
            [*command, name], cwd=self.folder, env=clean, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def has_score(self, printed: str) -> bool:
        """Whether the picture's score is among the numbers printed."""
        numbers = map(float, re.findall(r"\d+\.\d+", printed))
        return any(number == pytest.approx(self.score, rel=1e-5) for number in numbers)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    folder = tmp_path_factory.mktemp("line")
    shutil.copytree(ROOT / "models" / MODEL, folder / "models" / MODEL)
    shutil.copy(PICTURE, folder / "picture.png")
    key = add_key(folder / "keys.txt", "line", ["score"])
    with running(folder / "models", ANOMALY_KEYS=str(folder / "keys.txt")) as process:
        client = process.client
        client.headers["Authorization"] = f"Bearer {key}"
        scored = client.post("/score", files={"file": PICTURE.read_bytes()}).json()["score"]
        url = str(client.base_url).rstrip("/")
        yield Line(folder, url, key, scored, client.get("/openapi.json").json())


@pytest.mark.parametrize(
    ("heading", "language", "command", "name"),
    [
        ("curl", "sh", ["bash", "-e"], "score.sh"),
        ("Python", "python", [sys.executable, "-W", "error"], "score.py"),
        ("Node", "js", ["node"], "score.mjs"),
        ("Java", "java", ["java", *QUICK_JVM], "Score.java"),
    ],
)
def test_the_printed_programs_score(line: Line, heading: str, language: str, command: list[str], name: str) -> None:
    if not shutil.which(command[0]):
        # skipped, not failed: Node, Java and curl are programs of the system; `.ci/run` installs the first two
        pytest.skip(f"needs {command[0]}, of Debian")
    ((found, program),) = CLIENTS[heading]
    assert found == language
    assert len(program.splitlines()) < 20
    assert line.has_score(line.run(command, name, program))


def test_csharp_is_printed_and_said_to_be_untested() -> None:
    assert [language for language, _ in CLIENTS["C#"]] == ["csharp"]
    assert "No test runs this one" in (ROOT / "docs" / "clients.md").read_text("utf-8")


@pytest.mark.parametrize("heading", ["Triton's client", "With curl"])
def test_the_protocols_programs_score(line: Line, heading: str) -> None:
    ((language, program),) = PROTOCOL[heading]
    command = {"python": [sys.executable, "-W", "error"], "sh": ["bash", "-e"]}[language]
    assert line.has_score(line.run(command, f"protocol.{language}", program))


def test_the_image_as_octets_is_taken_as_an_image_is(line: Line) -> None:
    headers = {"Authorization": f"Bearer {line.key}"}
    answers = [
        httpx.post(
            f"{line.url}/score", content=PICTURE.read_bytes(), headers=headers | {"Content-Type": kind}, trust_env=False
        ).json()
        for kind in ("application/octet-stream", "image/png")
    ]
    assert answers[0] == answers[1]
    assert answers[0]["score"] == pytest.approx(line.score, rel=1e-5)


def test_the_samples_are_what_the_shipped_model_answers(line: Line) -> None:
    """A sample is rounded, and has some of the terms."""
    ScoreAnswer.model_validate(samples.SCORE_ANSWER)
    BatchAnswer.model_validate(samples.BATCH_ANSWER)
    InferRequest.model_validate(samples.INFER_REQUEST)
    InferAnswer.model_validate(samples.INFER_ANSWER)
    headers = {"Authorization": f"Bearer {line.key}"}
    zero = (ROOT / "docs" / "examples" / "zero.png").read_bytes()
    scored = httpx.post(
        f"{line.url}/score", files={"file": ("zero.png", zero)}, headers=headers, trust_env=False
    ).json()
    for name, value in samples.SCORE_ANSWER.items():
        if name != "terms":
            assert scored[name] == (pytest.approx(value, rel=1e-3) if isinstance(value, float) else value), name
    for name, value in samples.FOUND["terms"].items():
        assert scored["terms"][name] == pytest.approx(value, rel=1e-3)


@needs_java
def test_a_generated_client_scores(line: Line) -> None:
    (line.folder / "openapi.json").write_text(json.dumps(line.document), "utf-8")
    package = importlib.util.find_spec("openapi_generator_cli")
    assert package is not None
    assert package.origin is not None
    jar = Path(package.origin).with_name("openapi-generator.jar")
    command = ["java", *QUICK_JVM, "-jar", str(jar), "generate", "-i", "openapi.json", "-g", "python"]
    command += ["-o", ".", "--package-name", "anomaly_client", "--global-property", ONLY_CODE]
    done = subprocess.run(command, cwd=line.folder, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    python = [sys.executable, "-W", "error"]
    ((_, _), (language, program)) = CLIENTS["Generated clients"]
    assert language == "python"
    assert line.has_score(line.run(python, "generated.py", program))
    infer = line.document["paths"]["/v2/models/{name}/infer"]["post"]
    sample = infer["requestBody"]["content"]["application/json"]["example"]
    base = f"http://{ADDRESS}"
    program = f"""
from anomaly_client import ApiClient, Configuration, InferRequest, OpenInferenceProtocolApi
with ApiClient(Configuration({base!r}, access_token={KEY!r})) as client:
    answer = OpenInferenceProtocolApi(client).infer({MODEL!r}, InferRequest.from_dict({sample!r}))
    print(dict((output.name, output.data[0]) for output in answer.outputs))
"""
    printed = json.loads(line.run(python, "sample.py", program).replace("'", '"'))
    expected = infer["responses"]["200"]["content"]["application/json"]["example"]["outputs"]
    assert printed == pytest.approx({each["name"]: each["data"][0] for each in expected}, rel=1e-3)
