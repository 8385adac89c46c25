from pathlib import Path

import pytest

from anomaly.errors import BundleNotFoundError
from service.models.repository import find_bundles
from tests.service.fakes import add_bundle


def test_links_that_lead_out_of_the_folder_are_passed_over_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    inside, outside = tmp_path / "models", tmp_path / "elsewhere"
    add_bundle(inside, "m")
    add_bundle(outside, "secret")
    (inside / "link").symlink_to(outside / "secret")
    (inside / "m" / "2").symlink_to(outside / "secret" / "1")
    (inside / "alias").symlink_to("m")
    assert [(ref.name, ref.version) for ref in find_bundles(inside)] == [("alias", 1), ("m", 1)]
    assert f"{inside / 'link'} is passed over" in caplog.text
    assert f"{inside / 'm' / '2'} is passed over" in caplog.text


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    add_bundle(tmp_path / "real", "m")
    (tmp_path / "models").symlink_to(tmp_path / "real")
    assert [ref.name for ref in find_bundles(tmp_path / "models")] == ["m"]
    with pytest.raises(BundleNotFoundError):
        find_bundles(tmp_path / "nowhere")
