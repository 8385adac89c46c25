"""The service with models that have no G, whose pictures keep their shapes."""

import base64
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from anomaly.config import PreprocessConfig, Resize
from anomaly.inference import load_detector
from service.app import create_app
from service.engine.uploads import Uploads
from service.scoring import ORDINARY
from service.settings import Settings
from tests.service.fakes import SETTINGS, picture, served

WHOLE = PreprocessConfig(resize=Resize.WHOLE, scale=1)


@pytest.fixture(scope="module")
def client(whole_places_dir: Path) -> Iterator[httpx.Client]:
    """Room for 16 ordinary images."""
    settled = threading.Event()
    chosen = Settings(models=whole_places_dir.parent, threads=2, max_queue=16, max_files=4, history_thumbnails=False)
    app = create_app(chosen, on_settled=lambda pool: settled.set())
    with served(app, chosen) as found:
        assert settled.wait(60)
        yield found


def test_pictures_of_several_shapes_in_one_request_score_as_they_do_alone(
    client: httpx.Client, drawn_parts: Path, whole_places_dir: Path
) -> None:
    files = sorted(drawn_parts.iterdir())[:4]
    sent = [("files", (file.name, file.read_bytes())) for file in files]
    answer = client.post("/score/batch", files=sent).json()
    expected = load_detector(whole_places_dir, device="cpu").score(files).score
    np.testing.assert_allclose([each["score"] for each in answer["results"]], expected, rtol=1e-5)


def test_a_picture_of_a_size_that_did_not_calibrate_is_told(client: httpx.Client, whole_places_dir: Path) -> None:
    warning = load_detector(whole_places_dir, device="cpu").size_warning(40, 40)
    assert warning is not None
    sent = [("files", (f"{side}.png", picture(side, side))) for side in (40, 64)]
    results = client.post("/score/batch?alpha=0.2", files=sent).json()["results"]
    assert [each["warning"] for each in results] == [warning, None]
    assert [each["message"] for each in results] == [None, None]
    assert [each["threshold"] is None for each in results] == [False, False]
    image = {"name": "image", "shape": [1, 40, 40, 1], "datatype": "UINT8", "data": [120] * 1600}
    asked = {"inputs": [image], "parameters": {"alpha": 0.2}}
    answer = client.post(f"/v2/models/{whole_places_dir.name}/infer", json=asked).json()
    assert answer["parameters"]["warning"] == warning


def test_an_answer_has_a_heatmap_of_the_picture_and_no_reconstruction(client: httpx.Client, drawn_parts: Path) -> None:
    file = sorted(drawn_parts.iterdir())[0]
    answer = client.post("/score?heatmap=true", files={"file": file.read_bytes()}).json()
    assert answer["reconstruction"] is None
    heatmap = Image.open(BytesIO(base64.b64decode(answer["heatmap"])))
    assert heatmap.size == (80, 96)
    assert answer["strongest"] is not None


def test_a_picture_with_the_pixels_of_more_images_than_are_accepted_is_refused(client: httpx.Client) -> None:
    side = round((17 * ORDINARY) ** 0.5)
    refused = client.post("/score", content=picture(side, side), headers={"Content-Type": "image/png"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "upload_too_large")
    assert refused.json()["error"]["message"].startswith(
        "The request's images take the room of 18 images, as a large picture counts for several; the server has room "
        "for 16. "
    )
    assert "retry-after" not in refused.headers


def test_pictures_that_never_fit_together_are_refused_though_each_would_fit(client: httpx.Client) -> None:
    side = round((9 * ORDINARY) ** 0.5)
    sent = [("files", (f"{number}.png", picture(side, side))) for number in range(2)]
    refused = client.post("/score/batch", files=sent)
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "upload_too_large")


@pytest.mark.parametrize(("scale", "expected"), [(1.0, 112 * 64), (0.5, 64 * 32)])
def test_the_pixels_of_an_upload_are_told_by_its_head_as_the_networks_see_them(scale: float, expected: int) -> None:
    uploads = Uploads(SETTINGS, timed=lambda: pytest.fail("it decodes"))
    config = PreprocessConfig(resize=Resize.WHOLE, scale=scale)
    assert expected == uploads.num_pixels(picture(100, 50), config)
    assert uploads.num_pixels(b"no image", config) == 0


def test_a_narrow_upload_counts_the_pixels_that_it_is_filled_up_with() -> None:
    uploads = Uploads(SETTINGS, timed=lambda: pytest.fail("it decodes"))
    assert uploads.num_pixels(picture(1, 100_000), WHOLE) == 32 * 100_000


def test_a_narrow_upload_that_filling_up_makes_too_large_is_told_so_and_not_to_try_again(client: httpx.Client) -> None:
    narrow = picture(1, 3_000_000)
    assert Uploads(SETTINGS, timed=lambda: pytest.fail("it decodes")).num_pixels(narrow, WHOLE) == 0
    refused = client.post("/score", content=narrow, headers={"Content-Type": "image/png"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "image_too_large")
