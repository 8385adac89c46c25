"""With the server's own history and drift: what a person corrects at the page is there after a restart."""

import base64
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, Route, expect

from service.app import create_app
from service.settings import SAMPLE, Settings
from tests.service.fakes import add_bundle, load_tagged, picture, png, served
from tests.service.processes import Process, running
from tests.service.static.desk import drop, expect_widths, finish, tile, verdicts

MODELS = Path(__file__).parents[3] / "models"


@contextmanager
def a_run(folder: Path, context: BrowserContext) -> Iterator[Page]:
    """One run of a server that keeps a history in `folder`, and its page."""
    settings = Settings(models=folder / "models", threads=1, history=folder / "history.sqlite", history_thumbnails=True)
    settled = threading.Event()
    app = create_app(settings, load=load_tagged, on_settled=lambda pool: settled.set())
    with served(app, settings) as client:
        assert settled.wait(10)
        page = context.new_page()
        page.goto(str(client.base_url))
        page.locator("#model:enabled").wait_for()
        yield page
        page.close()


@contextmanager
def a_process(folder: Path, context: BrowserContext) -> Iterator[tuple[Process, Page]]:
    """`anomaly serve` as an operator runs it, with a history in `folder`, and its page."""
    history = {"ANOMALY_HISTORY": str(folder / "history.sqlite"), "ANOMALY_HISTORY_THUMBNAILS": "1"}
    with running(MODELS, ANOMALY_DEFAULT_MODEL="mnist", **history) as process:
        page = context.new_page()
        page.goto(str(process.client.base_url))
        page.locator("#model:enabled").wait_for()
        yield process, page
        page.close()


def test_a_correction_survives_a_killed_server(context: BrowserContext, tmp_path: Path) -> None:
    files = {"false alarm.png": picture(28, 28), "other.png": picture(30, 30), "fine.png": SAMPLE.read_bytes()}
    with a_process(tmp_path, context) as (process, page):
        drop(page, files)
        finish(page, shown=3)
        assert verdicts(page) == {"false alarm.png": "anomalous", "other.png": "anomalous", "fine.png": "normal"}
        tile(page, "false alarm.png").locator("button").click()
        page.locator("#viewer").get_by_role("button", name="It is normal").click()
        expect(page.locator("#viewer-verdict")).to_contain_text("corrected to normal")
        page.keyboard.press("Escape")
        os.kill(process.pid, signal.SIGKILL)
    with a_process(tmp_path, context) as (_, page):
        page.get_by_role("link", name="History").click()
        rows = page.locator("#history-rows li")
        expect(rows).to_have_count(3)
        corrected = rows.filter(has_text="false alarm.png")
        expect(corrected).to_contain_text("▲ anomalous")
        expect(corrected).to_contain_text("Corrected to normal by local.")
        expect(corrected.get_by_role("button", name="It is normal")).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#history-rows img")).to_have_count(3)
        assert corrected.locator("img").evaluate("(img) => img.decode().then(() => img.naturalWidth)") > 0
        page.locator("#history-filter [name=correction]").select_option("none")
        page.locator("#history-filter").get_by_role("button", name="Show").click()
        expect(rows).to_have_count(2)


def test_the_history_is_searched_by_part_name_and_request_and_a_row_opens(
    context: BrowserContext, tmp_path: Path
) -> None:
    add_bundle(tmp_path / "models", "m")
    name = 'b"<i>".png'
    with a_run(tmp_path, context) as page:
        drop(page, {"a.png": png(3), name: png(1000)})
        finish(page, shown=2)
        url = page.url.partition("#")[0]
        sent = {"data": png(50), "headers": {"Content-Type": "image/png", "X-Request-ID": "mine"}}
        assert page.request.post(f"{url}score?part=A-17&name=camera.png", **sent).ok  # type: ignore[arg-type]
        page.get_by_role("link", name="History").click()
        rows, form = page.locator("#history-rows li"), page.locator("#history-filter")
        expect(rows).to_have_count(3)
        for field, text, found in (
            ("part", "a-1", "camera.png"),
            ("name", '"<I>', name),
            ("request_id", "mine", "A-17"),
        ):
            form.locator(f"[name={field}]").fill(text)
            page.keyboard.press("Enter")
            expect(rows).to_have_count(1)
            expect(rows).to_contain_text(found)
            form.locator(f"[name={field}]").fill("")
        rows.get_by_role("button", name="camera.png").click()
        expect(page.locator("#record-facts")).to_contain_text("partA-17")
        expect(page.locator("#record-facts")).to_contain_text("request idmine")
        expect(page.locator("#record-terms")).to_have_text("residual25")
        picture = page.locator("#record-picture img")
        assert picture.evaluate("(img) => img.decode().then(() => img.naturalWidth)") == 8
        page.keyboard.press("Escape")
        for button, told in (("It is anomalous", "anomalous by local."), ("No correction", "taken back by local.")):
            row = rows.filter(has_text="camera.png")
            row.get_by_role("button", name=button).click()
            expect(row).to_contain_text("by you")
            form.get_by_role("button", name="Show", exact=True).click()
            expect(row).to_contain_text(told)


def test_the_drift_panel_shows_what_the_server_has_seen(context: BrowserContext, tmp_path: Path) -> None:
    add_bundle(tmp_path / "models", "m")
    with a_run(tmp_path, context) as page:
        page.get_by_role("link", name="Drift").click()
        expect(page.locator("#drift-status")).to_contain_text("Nothing scored yet")
        drop(page, {f"{tag}.png": png(tag) for tag in range(0, 99, 9)})
        finish(page, shown=11)
        page.get_by_role("link", name="Drift").click()
        expect(page.locator("#drift-status")).to_contain_text("● No alarm. 11 images watched.")
        expect(page.locator("#drift-window")).to_contain_text("The last 11: ")
        expect(page.locator("#drift-window")).to_contain_text("the bars end near the dashed line; the fewer images")
        expect(page.locator("#drift-histogram .bin")).to_have_count(20)


def test_all_images_can_be_scored_again_by_another_model(context: BrowserContext, tmp_path: Path) -> None:
    for name in ("m", "other"):
        add_bundle(tmp_path / "models", name)
    with a_run(tmp_path, context) as page:
        drop(page, {"a.png": png(94), "b.png": png(3)})
        finish(page, shown=2)
        expect(tile(page, "a.png")).to_contain_text("5 of 99 normal images score as high")
        page.route("**/score?*", with_large_heatmap)
        page.locator("#model").select_option("other")
        page.get_by_role("button", name="Score all with other").click()
        expect(tile(page, "a.png")).to_contain_text("4 of 99 normal images score as high")  # by half more
        expect_widths(page, "a.png", 8, 8, 8, 20)  # the new answer's heatmap
        page.get_by_role("link", name="History").click()
        expect(page.locator("#history-rows li")).to_have_count(2)  # those of the chosen model


def with_large_heatmap(route: Route) -> None:
    heatmap = base64.b64encode(picture(20, 20)).decode()
    route.fulfill(json=route.fetch().json() | {"heatmap": heatmap})
