"""Scores the images of golden.npz again, and compares the scores with those in it.

Exit code 1: this machine, or this version of the runtime, scores differently. 2: that could not be found out.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # `python -I` would not find what lies beside this file
from model import HERE, load_model, np, run  # type: ignore[import-not-found]


def _main() -> int:
    golden = np.load(HERE / "golden.npz")
    model = load_model()
    scores = np.concatenate([model(each[None], 0.05)[0] for each in golden["pixels"]])
    differences = np.abs(scores - golden["scores"])
    is_same = bool((differences <= golden["allowed"]).all())
    verdict = "as they were when the model was exported" if is_same else "and that is too much"
    sys.stdout.write(f"{len(scores)} images: the scores differ by up to {differences.max():.2g}, {verdict}\n")
    sys.stdout.flush()  # here, where it is known what to do if it fails
    return 0 if is_same else 1


if __name__ == "__main__":
    run(_main)
