"""How fast the service of this checkout is beside one of before: two servers at once, load going to one and the other.

    git worktree add ../before 66b0e31
    python -m benchmarks.ratios --before ../before [--side 28|256] [--form] [--history] [--pairs 16] [--starts 1]

Each checkout serves with its own code: the shipped model at 28 × 28 pixels, or a bundle of 256 × 256 that the old
checkout has trained, upgraded for this one. The ratios are medians over the pairs, this checkout's figure to the
other's. This one is better where the ratio of images a second is above 1, and that of core-milliseconds an image below
1.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.checkouts import ROOT, environment, start_server, upgraded
from benchmarks.drawings import draw_line, draw_texture, write_files
from benchmarks.load import send
from benchmarks.serving import Program

NUM_FILES = {28: 2000, 256: 200}
_TRAIN = (
    "import sys; from pathlib import Path; from benchmarks.drawings import train_on_textures; "
    "train_on_textures(Path(sys.argv[1]), 256)"
)


def main() -> None:
    """Print each pair, then the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="a checkout of the project as it was")
    parser.add_argument("--side", type=int, choices=list(NUM_FILES), default=28)
    parser.add_argument("--form", action="store_true", help="forms in the place of raw bodies")
    parser.add_argument("--history", action="store_true", help="each server keeps one, in a file")
    parser.add_argument("--pairs", type=int, default=16, help="of halves for each start of the servers")
    parser.add_argument("--starts", type=int, default=1, help="of both servers: one start differs from the next")
    parser.add_argument("--seconds", type=float, default=2.5, help="of load in each half of a pair")
    options = parser.parse_args()
    before = options.before.resolve()
    with tempfile.TemporaryDirectory() as temporary:
        bundle = before / "models" / "mnist"
        if options.side == 256:
            bundle = Path(temporary) / "before" / "textures"
            command = [sys.executable, "-c", _TRAIN, str(bundle.parent)]
            subprocess.run(command, cwd=before, env=environment(before), check=True, stdout=subprocess.DEVNULL)
        models = {ROOT: upgraded(bundle, Path(temporary) / "models").parent, before: bundle.parent}
        folder = Path(temporary) / "images"
        write_files(folder, NUM_FILES[options.side], draw_line if options.side == 28 else draw_texture, options.side)
        ratios = []
        for start in range(options.starts):
            servers: list[Program] = []
            for checkout in (ROOT, before):
                history = Path(temporary) / f"{start}-{len(servers)}.sqlite"
                settings = {"history": history} if options.history else {}
                servers.append(start_server(checkout, models[checkout], bundle.name, **settings))
            try:
                ratios += _compare(servers, folder, options)
            finally:
                for server in servers:
                    server.process.kill()
                    server.process.wait()
    rate, cost = (median(column) for column in zip(*ratios, strict=True))
    print(f"after / before: images a second {rate:.3f}, core-ms for each image {cost:.3f}")


def _compare(servers: list[Program], folder: Path, options: argparse.Namespace) -> list[tuple[float, float]]:
    """Each pair's ratios: images a second, and core-milliseconds an image."""
    form = ("--form",) if options.form else ()
    for server in servers:
        send(server.port, folder, "--seconds", 2, *form)
    ratios = []
    for pair in range(options.pairs):
        figures = {}
        for server in servers if pair % 2 else servers[::-1]:
            cpu_s = server.cpu_s()
            load = send(server.port, folder, "--seconds", options.seconds, *form)
            assert load.statuses.keys() == {200}, load.statuses
            figures[server] = load.rate, 1e3 * (server.cpu_s() - cpu_s) / len(load.scored)
        (rate, cost), (rate_before, cost_before) = (figures[server] for server in servers)
        print(f"{rate:8.1f} and {rate_before:8.1f} images/s, {cost:6.2f} and {cost_before:6.2f} core-ms", flush=True)
        ratios.append((rate / rate_before, cost / cost_before))
    return ratios


if __name__ == "__main__":
    main()
