"""A tab that stays open while the server's models and their versions change."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.service.fakes import Instance, add_bundle, open_instance, png
from tests.service.static.conftest import open_page
from tests.service.static.desk import drop, finish


@pytest.fixture
def opened(context: BrowserContext, tmp_path: Path) -> Iterator[tuple[Instance, Page]]:
    """A server and its page; two images are scored by the first version, then there is a second one."""
    models = tmp_path / "models"
    with open_instance(models) as instance:
        page = open_page(context, instance)
        drop(page, {"a.png": png(3), "b.png": png(97)})
        finish(page, shown=2)
        add_bundle(models, "m", 2)
        assert instance.client.post("/admin/load?model=m&version=2").status_code == 200
        yield instance, page
        page.close()


def test_results_of_two_versions_are_told_apart_and_can_be_made_of_one(opened: tuple[Instance, Page]) -> None:
    instance, page = opened
    drop(page, {"c.png": png(4)})
    finish(page, shown=3)
    expect(page.locator("#outdated")).to_have_text(
        "2 results here are of another version of the model than the latest. Scores of two versions cannot be compared."
    )
    page.get_by_role("button", name="Score 2 anew").click()
    finish(page, shown=3)
    expect(page.locator("#outdated")).to_be_empty()
    expect(page.locator("#again")).to_be_hidden()
    scored = instance.client.get("/metrics").text
    assert 'anomaly_images_total{model="m",verdict="normal",version="2"} 2.0' in scored
    assert 'anomaly_images_total{model="m",verdict="anomalous",version="2"} 1.0' in scored


def test_the_list_of_models_is_read_again_when_somebody_looks(opened: tuple[Instance, Page]) -> None:
    _, page = opened
    option = page.locator("#model option")
    expect(option).to_have_text(["m · version 1"])
    page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    expect(option).to_have_text(["m · version 2"])


def test_the_list_of_models_is_read_again_with_another_view(opened: tuple[Instance, Page]) -> None:
    _, page = opened
    page.get_by_role("link", name="History").click()
    expect(page.locator("#model option")).to_have_text(["m · version 2"])


def test_a_broken_model_is_listed_with_its_version_and_the_reason(
    opened: tuple[Instance, Page], tmp_path: Path
) -> None:
    instance, page = opened
    add_bundle(tmp_path / "models", "bad", 3, flaw="broken")
    instance.client.post("/admin/rescan")
    page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    option = page.locator("#model option[value=bad]")
    expect(option).to_have_text("bad · version 3 could not be loaded")
    expect(option).to_have_attribute("title", re.compile("is corrupt"))
    expect(page.locator("#model option[value=m]")).to_have_attribute("title", "")
