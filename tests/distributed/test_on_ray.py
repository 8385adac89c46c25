"""`anomaly archive --ray`: what local processes write, byte for byte, and errors without tracebacks."""

import json
from pathlib import Path

from benchmarks.archives import hashes, run
from benchmarks.ray_clusters import RayCluster
from tests.distributed.archives import broken_tars, write_every_layout

MNIST = Path(__file__).parents[2] / "models" / "mnist"


def test_results_are_those_of_local_processes_and_reach_the_user_as_sentences(
    cluster: RayCluster, tmp_path: Path
) -> None:
    source = write_every_layout(tmp_path / "src")
    (source / "damaged.tar").write_bytes(broken_tars()["damaged-header"])
    on_ray = run(MNIST, source, tmp_path / "ray", "--ray", cluster.address, "--workers", 2, "--fdr", 0.2)
    here = run(MNIST, source, tmp_path / "here", "--workers", 1, "--fdr", 0.2)
    assert (on_ray.returncode, here.returncode) == (1, 1), on_ray.stderr
    assert "Traceback" not in on_ray.stdout + on_ray.stderr
    assert "6 of 7 shards" in on_ray.stdout
    assert "damaged.tar: the shard is damaged" in on_ray.stderr
    assert hashes(tmp_path / "ray") == hashes(tmp_path / "here") != {}
    manifests = [json.loads((tmp_path / name / "_manifest.json").read_text()) for name in ("ray", "here")]
    assert manifests[0] == manifests[1]
