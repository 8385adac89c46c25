"""Each view has a title of its own, so that tabs and the browser's history can be told apart."""

from pathlib import Path

from playwright.sync_api import BrowserContext, expect

from tests.service.fakes import open_instance, png
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
