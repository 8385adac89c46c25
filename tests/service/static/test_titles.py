"""Each view has a title of its own, so that tabs and the browser's history can be told apart."""

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Route, expect

from tests.service.fakes import Instance, open_instance, png
from tests.service.static.conftest import open_page


def test_the_title_is_that_of_the_view_and_of_the_verdict(context: BrowserContext, tmp_path: Path) -> None:
    with open_instance(tmp_path / "models", history=tmp_path / "history.sqlite") as instance:
        page = open_page(context, instance)
        expect(page).to_have_title("Inspect · anomaly")
        for view in ("History", "Drift"):
            page.get_by_role("link", name=view).click()
            expect(page).to_have_title(f"{view} · anomaly")
        page.get_by_role("link", name="Line screen").click()
        expect(page).to_have_title("Waiting · Line screen · anomaly")
        instance.score(png(3))
        expect(page).to_have_title("Good · Line screen · anomaly")
        instance.score(png(1000))
        expect(page).to_have_title("Bad · Line screen · anomaly")
        page.go_back()
        expect(page).to_have_title("Drift · anomaly")
        page.go_forward()
        expect(page).to_have_title("Bad · Line screen · anomaly")
        page.get_by_role("link", name="Leave").click()
        expect(page).to_have_title("Inspect · anomaly")
        page.close()


@pytest.mark.parametrize("view", ["history", "drift"])
def test_a_view_that_is_opened_by_its_address_is_there_before_the_models_are(
    context: BrowserContext, line: Instance, view: str
) -> None:
    page = context.new_page()
    waiting: list[Route] = []
    page.route("**/models", lambda route: waiting.append(route))
    page.goto(f"{line.client.base_url}/#{view}")
    expect(page.locator(f"#{view}")).to_be_visible()
    expect(page.locator("#inspect")).to_be_hidden()
    expect(page).to_have_title(f"{view.capitalize()} · anomaly")
    waiting.pop().continue_()
    page.locator("#model:enabled").wait_for()
