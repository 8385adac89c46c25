"""The service judges what is inside a model's region, and tells where it is."""

import base64
import io
import threading
from pathlib import Path

import numpy as np
from PIL import Image

from anomaly.inference import load_detector
from service.app import create_app
from service.settings import Settings
from tests.digit_images import Pixels, normals
from tests.service.fakes import served


def file_of(image: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "png")
    return file.getvalue()


def test_what_lies_outside_changes_no_answer(region_dir: Path) -> None:
    image = normals()[0]
    outside, inside = image.copy(), image.copy()
    outside[:, 5:] = 255 - outside[:, 5:]
    inside[:, 4] = 255 - inside[:, 4]
    settled = threading.Event()
    app = create_app(Settings(models=region_dir.parent, device="cpu"), on_settled=lambda pool: settled.set())
    with served(app) as client:
        assert settled.wait(30)
        answers = [
            client.post("/score", params={"heatmap": True}, files={"file": ("image", file_of(each))}).json()
            for each in (image, outside, inside)
        ]
        parts = [("files", (name, file_of(each))) for name, each in (("a", image), ("b", outside))]
        batch = client.post("/score/batch", files=parts).json()["results"]
        (version,) = client.get(f"/models/{region_dir.name}").json()["versions"]
    assert answers[0]["score"] == answers[1]["score"] != answers[2]["score"]
    assert answers[0]["heatmap"] == answers[1]["heatmap"]
    assert batch[0]["score"] == batch[1]["score"]
    heatmap = np.asarray(Image.open(io.BytesIO(base64.b64decode(answers[0]["heatmap"]))))
    assert (heatmap[:, 5:] == 0).all()
    assert version["preprocess"]["region"] == load_detector(region_dir, device="cpu").preprocess.region
