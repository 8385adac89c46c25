"""The same model behind LitServe, batched. `throughput --litserve PYTHON` measures against it.

    PYTHON benchmarks/lit_server.py MODEL PORT MAX_BATCH

PYTHON is the interpreter of an environment of its own: LitServe is no dependency of this project.
"""

import sys
from io import BytesIO
from typing import Any

import litserve  # type: ignore[import-not-found,unused-ignore]  # installed only where it is measured
from fastapi import Request
from PIL import Image

from anomaly.inference import load_detector


class ScoringAPI(litserve.LitAPI):  # type: ignore[misc,name-defined,unused-ignore]
    """A form's field `file` in, a score out; LitServe puts what waits into one list."""

    def setup(self, device: str) -> None:
        """Called once in the worker."""
        self.detector = load_detector(sys.argv[1], device="cpu")

    def decode_request(self, request: Request) -> Any:
        """From the form to a picture."""
        image = Image.open(BytesIO(request["file"].file.read()))
        image.load()
        return image

    def batch(self, inputs: list[Any]) -> list[Any]:
        """Pictures of any sizes: as they are."""
        return inputs

    def predict(self, images: list[Any]) -> list[tuple[float, float]]:
        """All of them in one call."""
        scores = self.detector.score(images)
        return list(zip(scores.score.tolist(), scores.p_value.tolist(), strict=True))

    def unbatch(self, output: Any) -> Any:
        """One by one again."""
        return output

    def encode_response(self, output: tuple[float, float]) -> dict[str, float]:
        """What the client gets."""
        return {"score": output[0], "p_value": output[1]}


if __name__ == "__main__":
    api = ScoringAPI(max_batch_size=int(sys.argv[3]), batch_timeout=0.005, api_path="/score")
    litserve.LitServer(api, accelerator="cpu", devices=1, track_requests=False).run(
        port=int(sys.argv[2]), num_api_servers=1, log_level="error", generate_client_file=False
    )
