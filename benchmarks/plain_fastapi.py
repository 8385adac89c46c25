"""What one writes first: FastAPI and a detector, one image at a time. `throughput` measures against it.

python -m benchmarks.plain_fastapi MODEL PORT
"""

import sys
from io import BytesIO
from threading import Lock

import uvicorn
from fastapi import FastAPI, Request
from PIL import Image
from starlette.concurrency import run_in_threadpool

from anomaly.inference import load_detector


def main() -> None:
    """Serve until killed."""
    detector = load_detector(sys.argv[1], device="cpu")
    app, device = FastAPI(), Lock()

    def score_one(data: bytes) -> dict[str, float]:
        image = Image.open(BytesIO(data))
        with device:
            scores = detector.score(image)
        return {"score": float(scores.score[0]), "p_value": float(scores.p_value[0])}

    @app.post("/score")
    async def score(request: Request) -> dict[str, float]:
        return await run_in_threadpool(score_one, await request.body())

    uvicorn.run(app, port=int(sys.argv[2]), log_level="error")


if __name__ == "__main__":
    main()
