"""The Dockerfile as its instructions."""

import re
from dataclasses import dataclass

from tests.deploy.expressions import ROOT

DOCKERFILE = ROOT / "Dockerfile"


@dataclass(frozen=True)
class Instruction:
    """One instruction, its lines joined, and the stage that it is in: 0 before the first FROM."""

    name: str
    value: str
    stage: int


def instructions() -> list[Instruction]:
    """All instructions, in order."""
    lines = [line for line in DOCKERFILE.read_text("utf-8").splitlines() if not line.startswith("#")]
    stage, found = 0, []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, value = line.strip().partition(" ")
            stage += name == "FROM"
            found.append(Instruction(name, re.sub(r"\s+", " ", value.strip()), stage))
    return found


def arguments() -> dict[str, str]:
    """The build arguments with their defaults."""
    return dict(each.value.split("=", 1) for each in instructions() if each.name == "ARG")
