"""A thousand files at once: how far it is, what it will take, a page that answers meanwhile, and a way to stop."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.service.fakes import Instance, png
from tests.service.static.desk import drawn, drop, finish, slide, tiles, verdicts

COUNT_URLS = """() => {
  window.numUrls = 0;
  const { createObjectURL: create, revokeObjectURL: revoke } = URL;
  URL.createObjectURL = (blob) => { window.numUrls += 1; return create.call(URL, blob); };
  URL.revokeObjectURL = (url) => { window.numUrls -= 1; revoke.call(URL, url); };
}"""


@contextmanager
def a_slow_device(line: Instance) -> Iterator[None]:
    """Each batch takes a fifth of a second."""
    line.detector.batch_s = 0.2
    try:
        yield
    finally:
        line.detector.batch_s = 0.0


def test_paper_has_the_images_of_the_window_and_no_empty_sheets(page: Page) -> None:
    drop(page, {f"{tag}.png": png(tag) for tag in range(300)})
    expect(page.locator("#progress-bar")).to_be_hidden(timeout=60_000)
    expect(page.locator(".on-paper")).to_be_hidden()
    page.evaluate("() => scrollTo(0, document.body.scrollHeight / 2)")
    drawn(page)
    on_paper = page.pdf()
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", on_paper)) <= 6
    page.emulate_media(media="print")
    expect(page.locator(".on-paper")).to_have_text(
        "Only the images that were on the screen are printed. Export CSV writes all of them."
    )
    expect(page.locator(".on-paper")).to_be_visible()


def test_a_thousand_files_are_told_of_stopped_and_taken_up_again(page: Page, line: Instance) -> None:
    on_their_way: set[Request] = set()
    most = [0]

    def begin(request: Request) -> None:
        if "/score" in request.url:
            on_their_way.add(request)
            most[0] = max(most[0], len(on_their_way))

    page.on("request", begin)
    page.on("requestfinished", lambda request: on_their_way.discard(request))
    page.on("requestfailed", lambda request: on_their_way.discard(request))
    page.evaluate(COUNT_URLS)
    page.locator("#sort").evaluate("(select) => { select.value = 'added'; }")
    with a_slow_device(line):
        drop(page, {f"{tag:04d}.png": png(tag) for tag in range(1000)})
        expect(page.locator("#time-left")).to_have_text(re.compile(r"about \d+ (seconds|minutes|hours) left"))
        expect(page.locator("#progress-text")).to_have_text(re.compile(r"Scored \d+ of 1,000 …"))
        before = int(page.locator("#progress-bar").evaluate("(bar) => bar.value"))
        slide(page, 200)  # the page answers meanwhile
        expect(page.locator("#alpha-value")).to_have_text("50 %")
        expect(page.locator("#progress-bar")).to_have_js_property("max", 1000)
        page.wait_for_function("(before) => document.querySelector('#progress-bar').value > before + 4", arg=before)
        assert page.locator("*").count() < 2000
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator("#progress")).to_be_hidden()
    left = page.get_by_role("button", name=re.compile(r"Score the \d+ that are left"))
    expect(left).to_be_focused()
    num_left = int(re.findall(r"\d+", left.inner_text())[0])
    assert 0 < num_left < 1000
    page.locator("#show").select_option("other")
    expect(page.locator("#shown")).to_have_text(f"{num_left} of 1,000 shown")
    expect(page.locator("#tiles li").first).to_contain_text("– not scored yet")  # four at a time end in any order
    left.click()
    expect(page.locator("#progress-text")).to_be_visible()
    page.wait_for_function("(least) => document.querySelector('#progress-bar').value >= least", arg=1010 - num_left)
    page.get_by_role("button", name="Cancel").click()
    assert most[0] <= 4
    assert page.evaluate("() => window.numUrls") == 0


def test_a_large_map_is_kept_small_and_a_small_one_as_it_is(page: Page) -> None:
    """What is kept of each image is bounded, whatever its size is."""
    code = """async (side) => {
      const { mapOf } = await import("./static/png.js");
      const canvas = new OffscreenCanvas(side, side / 2);
      canvas.getContext("2d").fillRect(0, 0, side, side);
      const bytes = new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer());
      const { file, size } = await mapOf(btoa(String.fromCharCode(...bytes)));
      const { width, height } = await createImageBitmap(file);
      return [size, [width, height]];
    }"""
    assert page.evaluate(code, 1600) == [[1600, 800], [768, 384]]
    assert page.evaluate(code, 100) == [[100, 50], [100, 50]]


BRIGHT = """async ([width, height, left, top]) => {
  const { mapOf } = await import("./static/png.js");
  const { paintThumbnail } = await import("./static/pictures.js");
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.fillRect(0, 0, width, height);
  context.fillStyle = "rgb(200 200 200)";
  context.fillRect(left, top, 2, 2);
  const bytes = new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer());
  const { file, size } = await mapOf(btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")));
  const thumbnail = document.body.appendChild(document.createElement("canvas"));
  await paintThumbnail(thumbnail, { file, kind: "heatmap", size });
  const { data } = thumbnail.getContext("2d").getImageData(0, 0, thumbnail.width, thumbnail.height);
  const found = [];
  for (let at = 0; at < data.length / 4; at += 1)
    if (data[4 * at + 3]) found.push([at % thumbnail.width, Math.floor(at / thumbnail.width), data[4 * at + 3]]);
  return [[thumbnail.width, thumbnail.height], found];
}"""


@pytest.mark.parametrize(
    ("size", "place", "small", "seen"),
    [
        ((6000, 300), (4504, 130), (192, 10), (144, 4)),
        ((300, 6000), (130, 4504), (10, 192), (4, 144)),
        ((4000, 3000), (2002, 1502), (192, 144), (96, 72)),
    ],
)
def test_a_small_hot_place_of_a_large_map_is_seen_in_its_thumbnail(
    page: Page, size: tuple[int, int], place: tuple[int, int], small: tuple[int, int], seen: tuple[int, int]
) -> None:
    found_size, found = page.evaluate(BRIGHT, [*size, *place])
    assert tuple(found_size) == small
    ((x, y, opacity),) = found
    assert (x, y) == seen
    assert opacity > 200


def test_a_key_that_asks_too_often_for_long_is_never_given_up(page: Page) -> None:
    page.clock.install()
    asked: list[Request] = []

    def refuse(route: Route) -> None:
        asked.append(route.request)
        if len(asked) <= 12:
            route.fulfill(status=429, headers={"Retry-After": "1"}, json={"error": {"code": "x", "message": "no."}})
        else:
            route.continue_()

    page.route("**/score?*", refuse)
    drop(page, {"a.png": png(1)})
    while len(asked) <= 12:
        page.clock.run_for(1000)
        page.wait_for_timeout(10)
    page.clock.resume()
    finish(page, shown=1)
    assert verdicts(page) == {"a.png": "normal"}


def test_clearing_is_undone_with_all_that_was_scored_and_what_waited(page: Page, line: Instance) -> None:
    drop(page, {"scored.png": png(1000), "broken.png": b"broken"})
    finish(page, shown=2)
    line.detector.gate.clear()
    try:
        drop(page, {"waiting.png": png(3)})
        expect(tiles(page)).to_have_count(3)
        page.get_by_role("button", name="Clear all").click()
        expect(page.locator("#workbench")).to_be_hidden()
        expect(page.locator("#cleared-text")).to_have_text("3 images were cleared.")
        expect(page.get_by_role("button", name="Undo")).to_be_focused()
    finally:
        line.detector.gate.set()
    drop(page, {"new.png": png(7)})
    finish(page, shown=1)
    page.get_by_role("button", name="Undo").click()
    finish(page, shown=4)
    assert verdicts(page) == {
        **{"scored.png": "anomalous", "new.png": "normal", "waiting.png": "normal", "broken.png": "failed"}
    }
    page.locator("#sort").select_option("added")
    assert list(verdicts(page)) == ["scored.png", "broken.png", "waiting.png", "new.png"]
    expect(page.locator("#cleared")).to_be_hidden()
