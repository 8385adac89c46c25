"""What `GanDetector` tells of a training and of images, as warnings; and what it says where nothing can be trained."""

import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anomaly.estimator import GanDetector
from anomaly.extras import WITH_TORCH
from tests.digit_images import digits, write_images
from tests.test_estimator import tiny


def said_of(images: Any, **parameters: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        tiny("training.steps=300", **parameters).fit(images)
    return [str(each.message) for each in said if issubclass(each.category, UserWarning)]


def test_a_training_that_the_time_limit_ended_is_a_warning() -> None:
    (ended,) = said_of(digits("train", "0"), max_minutes=0)
    assert re.match(r"max_minutes ended the training after \d+ of 300 steps, .*; fit again with more minutes", ended)


def test_images_that_were_left_out_are_a_warning(tmp_path: Path) -> None:
    paths = write_images(tmp_path, digits("train", "0"))
    left_out = said_of([*paths, tmp_path / "none.png", tmp_path / "nor.png"])
    (told,) = [text for text in left_out if "left out" in text]
    assert re.match(r"2 images are left out, which cannot be read; the first: .*none\.png", told)


def test_pictures_whose_p_values_do_not_hold_are_a_warning(whole_places_dir: Path) -> None:
    estimator = GanDetector.load(whole_places_dir, device="cpu")
    sides = [np.full((side, side), 120, np.uint8) for side in (64, 40, 30)]
    warning = estimator.detector_.size_warning(40, 40)
    told = f"the p-values of 2 of 3 images do not hold; the first, image 1: {warning}"
    with pytest.warns(UserWarning, match=re.escape(told)):
        estimator.p_values(sides)
    estimator.p_values(sides[:1])  # without a warning


def test_files_of_which_one_page_was_read_are_a_warning(bigan_dir: Path, tmp_path: Path) -> None:
    first, second = (Image.fromarray(image) for image in digits("train", "0")[:2])
    first.save(tmp_path / "pages.tif", save_all=True, append_images=[second])
    told = f"1 of the images, {tmp_path / 'pages.tif'}: there are several pages or frames, of which only the first"
    with pytest.warns(UserWarning, match=re.escape(told)):
        GanDetector.load(bigan_dir, device="cpu").score_samples([tmp_path / "pages.tif"])


@pytest.mark.parametrize("library", WITH_TORCH)
def test_without_what_trains_fit_names_the_extra(library: str) -> None:
    program = f"""
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name == {library!r}:
            raise ModuleNotFoundError(f"No module named {{name}}")
sys.meta_path.insert(0, Hidden())
import numpy as np
from anomaly.errors import AnomalyError
from anomaly.estimator import GanDetector
try:
    GanDetector().fit(np.zeros((30, 8, 8), np.uint8))
except AnomalyError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == f"GanDetector.fit needs {library}: pip install 'anomaly[torch]'\n"
