"""A chosen model that the server has no more, or cannot load: another one does not judge in its place unseen."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.service.fakes import Instance, add_bundle, open_instance, png
from tests.service.static.conftest import open_page

LOOK = "() => document.dispatchEvent(new Event('visibilitychange'))"


@pytest.fixture
def three(context: BrowserContext, tmp_path: Path) -> Iterator[tuple[Instance, Page]]:
    """A server with the models m, which is the default, other and third, and its page, on which other is chosen."""
    for name in ("other", "third"):
        add_bundle(tmp_path / "models", name)
    with open_instance(tmp_path / "models", history=tmp_path / "history.sqlite", default_model="m") as instance:
        page = open_page(context, instance)
        page.locator("#model").select_option("other")
        yield instance, page
        page.close()


def unload(instance: Instance, name: str) -> None:
    assert instance.client.post(f"/admin/unload?model={name}&version=1").status_code == 204


def test_that_the_chosen_model_is_gone_is_said_until_somebody_chooses(three: tuple[Instance, Page]) -> None:
    instance, page = three
    gone = page.locator("#model-gone")
    expect(gone).to_be_empty()
    unload(instance, "other")
    page.evaluate(LOOK)
    expect(gone).to_have_text("The model other is not on this server. The model m is chosen instead.")
    with page.expect_response("**/models"):
        page.evaluate(LOOK)
    page.get_by_role("link", name="Drift").click()
    expect(gone).to_be_visible()
    expect(gone).not_to_be_empty()
    page.locator("#model").select_option("third")
    expect(gone).to_be_empty()


def test_that_a_compared_model_is_gone_is_said(three: tuple[Instance, Page]) -> None:
    instance, page = three
    page.get_by_text("Compare", exact=True).click()
    page.get_by_label("third").check()
    unload(instance, "third")
    page.evaluate(LOOK)
    expect(page.locator("#model-gone")).to_have_text(
        "The model third is not on this server. It is not compared any more."
    )
    expect(page.locator("#model")).to_have_value("other")


def test_a_model_that_is_loaded_anew_is_waited_for(three: tuple[Instance, Page]) -> None:
    """As after a restart of the server, while somebody looks at the tab."""
    instance, page = three
    listed = instance.client.get("/models").json()
    for model in listed["models"]:
        model["versions"][0]["status"] = "loading" if model["name"] == "other" else "loaded"
    page.route("**/models", lambda route: route.fulfill(json=listed), times=1)
    page.evaluate(LOOK)
    expect(page.locator("#model")).to_be_disabled()
    expect(page.locator("#model")).to_be_enabled()
    expect(page.locator("#model")).to_have_value("other")
    expect(page.locator("#model-gone")).to_be_empty()


def test_the_line_screen_shows_no_other_models_verdicts(three: tuple[Instance, Page]) -> None:
    instance, page = three
    instance.score(png(3), model="m")
    unload(instance, "other")
    page.goto("about:blank")
    page.goto(f"{instance.client.base_url}/?model=other#line")
    expect(page.locator("#line-word")).to_have_text("No verdict")
    expect(page.locator("#line-why")).to_have_text(
        "The model other is not on this server. Leave this screen and choose another model, or wait until it is there."
    )
    assert instance.client.post("/admin/load?model=other&version=1").status_code == 200
    expect(page.locator("#line-model")).to_have_text("other")
    expect(page.locator("#line-word")).to_have_text("Waiting")
    instance.score(png(1000), model="other")
    expect(page.locator("#line-word")).to_have_text("Bad")


def test_a_model_that_could_not_be_loaded_is_told_and_left_for_another(three: tuple[Instance, Page]) -> None:
    instance, page = three
    listed = instance.client.get("/models").json()
    for model in listed["models"]:
        model["versions"][0]["status"] = "failed" if model["name"] == "other" else "loaded"

    def answer(route: Route) -> None:
        route.fulfill(json=listed)

    page.route("**/models", answer)
    page.goto("about:blank")
    page.goto(f"{instance.client.base_url}/?model=other#line")
    expect(page.locator("#line-why")).to_contain_text("The model other could not be loaded. Leave this screen")
    page.get_by_role("link", name="Leave").click()
    expect(page.locator("#model-gone")).to_have_text(
        "The model other could not be loaded. The model m is chosen instead."
    )
    page.get_by_role("link", name="Line screen").click()  # as it has been told
    expect(page.locator("#line-model")).to_have_text("m")
