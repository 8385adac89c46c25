"""The container image: built, started read-only without a network, asked for scores, stopped (`make image-check`).

    python -m benchmarks.image_check [--variant torch|onnx] [--base IMAGE] [--mount PATH …] [--torch-index URL]

Needs root and Debian's packages buildah, runc and debootstrap. Without `--base` the base is a Debian that debootstrap
makes. With `--mount` the build sees a file or folder of this machine, such as pip's configuration. For each variant:

1. The Dockerfile is built: `torch` as it stands, `onnx` with EXTRAS=server,onnx.
2. A key is made in the image, in a volume that is as Docker makes one: a copy of the image's folder.
3. The image is started by runc with the user, environment and command that it names: its root is read-only, it has no
   capability and no network but its loopback; keys, models and history are volumes.
4. Once its own health check passes, a program inside posts the two example images, without the key and with it, and
   tries to write where it may and where it may not.
5. SIGTERM stops it, and it must exit with 0.

Steps 2 to 5 are done twice: at the second start the system has the image's files in memory.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.containers import START_TIMEOUT_S, Container, Images, call, running

ROOT = Path(__file__).parents[1]
BASE = "localhost/anomaly-base"
MIRROR = "http://deb.debian.org/debian"
VARIANTS: dict[str, dict[str, str]] = {"onnx": {"EXTRAS": "server,onnx"}, "torch": {}}
VOLUMES = ("/srv/keys", "/srv/models", "/srv/history")
SETTINGS = {"ANOMALY_KEYS": "/srv/keys/keys.txt", "ANOMALY_HISTORY": "/srv/history/history.sqlite"}
INSIDE = r"""
import importlib.util, json, os, socket, sys, urllib.error, urllib.request
def post(name, key):
    headers = {"Content-Type": "image/png"} | ({"Authorization": "Bearer " + key} if key else {})
    image = open("/srv/docs/examples/" + name, "rb").read()
    request = urllib.request.Request("http://127.0.0.1:8000/score", image, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer = json.load(answer)
            return [answer["is_anomalous"], answer["history_id"]]
    except urllib.error.HTTPError as error:
        return error.code
def may_write(folder):
    try:
        os.close(os.open(folder + "/written", os.O_CREAT | os.O_WRONLY))
    except OSError:
        return False
    return True
print(json.dumps({
    "user": os.getuid(),
    "networks": [name for _, name in socket.if_nameindex()],
    "may write": [name for name in ("/", "/srv", "/tmp", "/opt/anomaly", *sys.argv[2:]) if may_write(name)],
    "torch": importlib.util.find_spec("torch") is not None,
    "zero.png without the key": post("zero.png", None),
    "zero.png": post("zero.png", sys.argv[1]),
    "six.png": post("six.png", sys.argv[1]),
}))
"""


def main() -> int:
    """Build and try the variants, and say what each took and whether what must hold held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", action="append", choices=VARIANTS, help="one or more; all unless given")
    parser.add_argument("--base", help="the Dockerfile's BASE, which buildah fetches; else one is made by debootstrap")
    parser.add_argument("--mirror", default=MIRROR, help="where debootstrap takes Debian from")
    parser.add_argument(
        "--mount", type=Path, action="append", default=[], help="what the build may read of this machine"
    )
    parser.add_argument("--torch-index", default="", help="the Dockerfile's TORCH_INDEX")
    parser.add_argument("--work", type=Path, help="keep the images in this folder; else nothing is left")
    options = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("error: this needs root, for buildah and runc")
    tools = ["buildah", "runc", *([] if options.base else ["debootstrap"])]
    if missing := [tool for tool in tools if shutil.which(tool) is None]:
        raise SystemExit(f"error: {', '.join(missing)} not found; install: apt-get install {' '.join(missing)}")
    if options.work:
        options.work.mkdir(parents=True, exist_ok=True)
        return check(options.work.resolve(), options)
    with tempfile.TemporaryDirectory(prefix="anomaly-images-") as work:
        return check(Path(work), options)


def check(work: Path, options: argparse.Namespace) -> int:
    """Check the variants with the images in `work`."""
    images = Images(work)
    if not options.base and not images.has(BASE):
        print(f"making a base from {options.mirror}", flush=True)
        images.make_base(BASE, options.mirror)
    held = True
    for variant in options.variant or VARIANTS:
        arguments = {"BASE": options.base or BASE, "TORCH_INDEX": options.torch_index} | VARIANTS[variant]
        start = time.monotonic()
        images.build(variant, ROOT, arguments, options.mount)
        print(f"{variant}: built in {time.monotonic() - start:.0f} s", flush=True)
        with images.mounted(variant) as root:
            print(f"{variant}: {int(call('du', '--summarize', '--block-size=1', root).split()[0]) / 1e9:.2f} GB")
            for _ in range(2):
                with tempfile.TemporaryDirectory(dir=work) as folder:
                    held &= try_image(variant, root, images.config(variant), Path(folder))
    return 0 if held else 1


def try_image(variant: str, root: Path, config: dict[str, Any], folder: Path) -> bool:
    """Start an image, ask it and stop it."""
    volumes = {inside: folder / Path(inside).name for inside in VOLUMES}
    for inside, place in volumes.items():
        call("cp", "--archive", root / inside.lstrip("/"), place)
    key = make_key(root, config, folder / "key", volumes)
    start = time.monotonic()
    with running(root, config, folder / "serve", volumes=volumes, environment=SETTINGS) as container:
        wait_until_healthy(container, config, folder / "serve" / "log")
        print(f"{variant}: ready after {time.monotonic() - start:.1f} s", flush=True)
        said = container.run("python", "-c", INSIDE, key, *VOLUMES)
        if said.returncode:
            raise SystemExit(f"error: the program inside failed\n{said.stderr}")
        found = json.loads(said.stdout) | {"exit code": container.stop()}
    expected = expectations(variant, config)
    for what, value in found.items():
        print(f"{variant}: {what}: {value}" + ("" if value == expected[what] else f", but expected {expected[what]}"))
    return bool(found == expected)


def expectations(variant: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """What the program inside must find. A verdict has the number of its row in the history beside it."""
    return {
        "user": int(config["User"].partition(":")[0]),
        "networks": ["lo"],
        "may write": list(VOLUMES),
        "torch": variant == "torch",
        "zero.png without the key": 401,
        "zero.png": [False, 1],
        "six.png": [True, 2],
        "exit code": 0,
    }


def make_key(root: Path, config: dict[str, Any], folder: Path, volumes: Mapping[str, Path]) -> str:
    """A key for scoring, made in the image."""
    command = ["anomaly", "keys", "add", "line-3", "--file", SETTINGS["ANOMALY_KEYS"]]
    with running(root, config, folder, volumes=volumes, environment={}, command=command) as container:
        code = container.process.wait(START_TIMEOUT_S)
    said = (folder / "log").read_text("utf-8")
    if code:
        raise SystemExit(f"error: no key could be made\n{said}")
    return said.split()[-1]


def wait_until_healthy(container: Container, config: Mapping[str, Any], log: Path) -> None:
    """Ask the image's own health check until it passes."""
    deadline = time.monotonic() + START_TIMEOUT_S
    kind, *test = config["Healthcheck"]["Test"]
    assert kind == "CMD"
    while container.run(*test).returncode:
        if container.process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"error: the container did not become ready\n{log.read_text('utf-8')[-3000:]}")
        time.sleep(0.1)


if __name__ == "__main__":
    raise SystemExit(main())
