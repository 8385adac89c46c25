"""`anomaly archive --status DEST`: what is done, by the files that are there."""

import json
from dataclasses import dataclass, fields
from typing import Any

from anomaly.data import map_ahead
from anomaly.distributed.archive import MANIFEST, PLAN
from anomaly.distributed.others import OtherTables, other_tables
from anomaly.distributed.scoring import ScoringRecipe, describe, said_by
from anomaly.distributed.shards import Shard, list_shards, state_of
from anomaly.distributed.storage import Storage, absolute
from anomaly.errors import DataError

_PLANNED = {"model", "digest", "source", "recipe", "fdr"}
_COUNTED = {"num_rows", "num_anomalous", "num_failed", "num_shards_failed"}
_AGAIN = "run the command that wrote this folder again: it keeps what is done, and writes this file anew"


@dataclass(frozen=True)
class ArchiveStatus:
    """Shards of SRC; how many are done, and how many have results of another model, other options or an older input.

    `others` are tables in DEST that are no results of SRC. `manifest` is what `_manifest.json` says, None where it is
    not written yet.
    """

    source: str
    digest: str
    num_shards: int
    num_done: int
    num_outdated: int
    others: OtherTables
    manifest: dict[str, Any] | None


def status_of(out: str) -> ArchiveStatus:
    """Look at each shard and its results; nothing is written.

    Raises:
        DataError: `out` holds no results of an archive, or SRC is gone.
    """
    destination = Storage(absolute(out))
    plan = read_plan(destination)
    recipe = ScoringRecipe(**plan["recipe"])

    def state(shard: Shard) -> str:
        found = destination.look(shard.result)
        if found is None:
            return "missing"
        try:
            now = state_of(shard)
        except DataError:
            return "outdated"
        with destination.open(shard.result) as file:
            said = said_by(file)
        is_of = said is not None and said["of"] == describe(plan["digest"], now.fingerprint, recipe)
        return "done" if is_of and found.modified_ns >= now.modified_ns else "outdated"

    counts = {"missing": 0, "outdated": 0, "done": 0}
    for found in map_ahead(state, list_shards(plan["source"])):
        counts[found] += 1
    manifest = None if destination.look(MANIFEST) is None else read_json(destination, MANIFEST)
    return ArchiveStatus(
        source=plan["source"],
        digest=plan["digest"],
        num_shards=sum(counts.values()),
        num_done=counts["done"],
        num_outdated=counts["outdated"],
        others=other_tables(destination, list_shards(plan["source"])),
        manifest=manifest,
    )


def read_plan(destination: Storage) -> dict[str, Any]:
    """What was to be done there. Raises DataError where nothing was."""
    if destination.look(PLAN) is None:
        raise DataError(f"{destination} holds no results of `anomaly archive`: it has no {PLAN}")
    return read_json(destination, PLAN)


def read_json(destination: Storage, name: str) -> dict[str, Any]:
    """_plan.json or _manifest.json. Raises DataError where it is damaged, or another version's."""
    with destination.open(name) as file:
        data = file.read()
    try:
        content: dict[str, Any] = json.loads(data)
    except ValueError as error:
        raise DataError(f"{name} in {destination} is damaged: {error}; {_AGAIN}") from error
    wanted = _PLANNED | (_COUNTED if name == MANIFEST else set())
    is_whole = isinstance(content, dict) and wanted <= content.keys() and isinstance(content["recipe"], dict)
    if not is_whole or content["recipe"].keys() != {field.name for field in fields(ScoringRecipe)}:
        raise DataError(f"{name} in {destination} is not as this version of anomaly writes it; {_AGAIN}")
    return content
