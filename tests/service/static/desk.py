"""What a person does at the page: drop files, move the slider, read the tiles."""

import base64
from collections.abc import Mapping

from playwright.sync_api import Locator, Page, expect

DROP = """([files, kind]) => {
  const transfer = new DataTransfer();
  for (const [name, data] of files) {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    transfer.items.add(new File([bytes], name, { type: "image/png" }));
  }
  const event = kind === "paste"
    ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true })
    : new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true });
  document.querySelector("#drop").dispatchEvent(event);
}"""


def drop(page: Page, files: Mapping[str, bytes], kind: str = "drop") -> None:
    """Drop (or `paste`) files on the page."""
    page.evaluate(DROP, [[[name, base64.b64encode(data).decode()] for name, data in files.items()], kind])


def tiles(page: Page) -> Locator:
    """The tiles that are in the document."""
    return page.locator("#tiles li")


def tile(page: Page, name: str) -> Locator:
    """The tile of this name."""
    return tiles(page).filter(has=page.get_by_text(name, exact=True))


def finish(page: Page, *, shown: int) -> None:
    """Wait until so many tiles are shown, and all that can be scored is."""
    expect(tiles(page)).to_have_count(shown)
    drawn(page)  # the bar appears with the first frame after a click
    expect(page.locator("#progress-bar")).to_be_hidden(timeout=60_000)
    drawn(page)


def drawn(page: Page) -> None:
    """Wait until the page has drawn what was asked for: it draws once a frame, not at once.

    Whatever a test reads without `expect`, which waits, it reads after this.
    """
    page.evaluate("() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")


def go_offline(page: Page) -> None:
    """Take the network away from the page's browser context, and wait until a request fails.

    The browser answers the command before its network process has heard of it: a request right after may still pass.
    """
    page.context.set_offline(True)
    page.wait_for_function("() => fetch('healthz').then(() => false, () => true)")


def expect_widths(page: Page, name: str, *widths: int) -> None:
    """The canvases of a tile are so many pixels wide: image, closest normal, image under heatmap, heatmap."""
    canvases = tile(page, name).locator("canvas")
    expect(canvases).to_have_count(len(widths))
    for index, width in enumerate(widths):
        expect(canvases.nth(index)).to_have_js_property("width", width)


def slide(page: Page, position: int) -> None:
    """Move the slider to a position from 0 (0.1 %) to 200 (50 %), as a hand does."""
    page.locator("#alpha").evaluate(
        "(slider, position) => { slider.value = position; slider.dispatchEvent(new Event('input')); }", position
    )


def verdicts(page: Page) -> dict[str, str]:
    """The verdict of each tile by its name, once the page has drawn."""
    drawn(page)
    return dict(
        page.locator("#tiles li button").evaluate_all(
            "(all) => all.map((b) => [b.querySelector('.name').textContent, b.dataset.verdict])"
        )
    )
