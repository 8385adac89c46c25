"""Who leaves the page is asked first where images would be lost with it, and only there."""

from pathlib import Path

from playwright.sync_api import BrowserContext, Dialog, Page, expect

from tests.service.edge.test_callers import guarding
from tests.service.fakes import Instance, open_instance, png
from tests.service.static.conftest import open_page
from tests.service.static.desk import drop, finish, tiles


def is_asked(page: Page) -> bool:
    """Whether who closes the tab is asked, and stays then; without a question it is closed."""
    kinds: list[str] = []

    def stay(dialog: Dialog) -> None:
        kinds.append(dialog.type)
        dialog.dismiss()

    beside = page.context.new_page()
    page.bring_to_front()
    page.locator("footer span").click()  # browsers ask nothing of who has touched nothing
    page.once("dialog", stay)
    page.close(run_before_unload=True)
    while not (kinds or page.is_closed()):
        beside.wait_for_timeout(50)
    beside.close()
    return kinds == ["beforeunload"]


def export(page: Page) -> None:
    with page.expect_download():
        page.locator("#export").click()


def test_images_that_are_nowhere_else_are_asked_for(context: BrowserContext, page: Page, line: Instance) -> None:
    assert not is_asked(open_page(context, line))
    drop(page, {"a.png": png(3), "b.png": png(1000)})
    finish(page, shown=2)
    assert is_asked(page)
    page.locator("#show").select_option("anomalous")
    export(page)
    assert is_asked(page)  # one of them was not shown, so it was not exported
    page.locator("#show").select_option("all")
    export(page)
    assert not is_asked(page)


def test_images_that_wait_are_asked_for_and_cleared_ones_are_not(page: Page, line: Instance) -> None:
    line.detector.gate.clear()
    try:
        drop(page, {"a.png": png(3)})
        expect(tiles(page)).to_have_count(1)
        assert is_asked(page)
        page.get_by_role("button", name="Cancel").click()
        assert is_asked(page)
        page.get_by_role("button", name="Clear all").click()
        assert not is_asked(page)
    finally:
        line.detector.gate.set()


def test_what_the_history_has_is_not_asked_for(context: BrowserContext, tmp_path: Path) -> None:
    with open_instance(tmp_path / "models", history=tmp_path / "history.sqlite") as instance:
        page = open_page(context, instance)
        drop(page, {"a.png": png(3), "broken.png": b"broken"})
        finish(page, shown=2)
        assert is_asked(page)  # of what could not be scored the history has nothing
        page.close()
        page = open_page(context, instance)
        drop(page, {"a.png": png(3)})
        finish(page, shown=1)
        assert not is_asked(page)


def test_the_key_is_not_forgotten_with_images_unless_somebody_says_so(context: BrowserContext, tmp_path: Path) -> None:
    with guarding(tmp_path, history=None) as guarded:
        page = context.new_page()
        page.goto(str(guarded.client.base_url))
        page.locator("#key").fill(guarded.score)
        page.keyboard.press("Enter")
        expect(page.locator("#model")).to_be_enabled()
        drop(page, {"a.png": png(3), "b.png": png(4)})
        finish(page, shown=2)
        asked: list[tuple[str, str]] = []

        def answer(dialog: Dialog) -> None:
            asked.append((dialog.type, dialog.message))
            dialog.accept() if len(asked) > 1 else dialog.dismiss()

        page.on("dialog", answer)
        page.get_by_role("button", name="Forget key").click()
        expect(tiles(page)).to_have_count(2)
        assert page.evaluate("() => sessionStorage.getItem('key')") == guarded.score
        page.get_by_role("button", name="Forget key").click()
        expect(page.locator("#access")).to_be_visible()
        said = "2 images on this page are not saved and will be lost. Forget the key all the same?"
        assert asked == [("confirm", said)] * 2
