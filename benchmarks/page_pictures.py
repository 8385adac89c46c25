"""The pictures of the page in README and docs/operator.md, drawn anew: a real server, real digits, a real browser.

    python -m benchmarks.page_pictures --data MNIST_FOLDER --out docs/images

Serves `models/mnist` with a history, lets Debian's Chromium drop a labelled folder of test digits on the page, and
keeps what it shows as PNG files of 256 colours. Needs Playwright, which `make install` brings, and /usr/bin/chromium.
"""

import argparse
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from anomaly.data.datasets.idx import open_idx
from benchmarks.serving import serving

CHROMIUM = Path("/usr/bin/chromium")
NUM_DIGITS = 300
WIDE, NARROW = ViewportSize(width=1280, height=860), ViewportSize(width=390, height=844)
SCREEN = ViewportSize(width=640, height=400)


def main() -> None:
    """Draw them."""
    options = _options()
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        digits, history = Path(temporary) / "digits", Path(temporary) / "history.sqlite"
        _write_digits(options.data, digits)
        with serving(options.models, default_model="mnist", history=history, history_thumbnails=True) as server:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            url = f"http://127.0.0.1:{server.port}/"
            page = _open(browser, url, digits, WIDE, "light")
            _keep(page, options.out / "page.png")
            page.locator("#max-score").fill("4.4")  # around the threshold: verdicts of both kinds
            _keep(page, options.out / "page-threshold.png")
            page.locator("#max-score").fill("")
            page.locator("#tiles button").nth(1).click()
            page.locator("#viewer").get_by_role("button", name="It is anomalous").click()
            _keep(page, options.out / "page-image.png")
            page.keyboard.press("Escape")
            page.get_by_role("link", name="History").click()
            page.locator("#history-rows img").nth(8).wait_for()
            _keep(page, options.out / "page-history.png")
            page.get_by_role("link", name="Drift").click()
            page.locator("#drift-histogram .bin").first.wait_for()
            _keep(page, options.out / "page-drift.png")
            page.close()
            page = _open(browser, url, digits / "digit-7", NARROW, "dark")
            _keep(page, options.out / "page-phone.png")
            page.close()
            some = [sorted(folder.iterdir())[0] for folder in sorted(digits.iterdir())[:3]]
            _draw_compared(browser, url, some, options.out / "page-compare.png")
            good, bad = (sorted((digits / kind).iterdir())[0] for kind in ("good", "digit-7"))
            _draw_line(browser, url, {"good": good, "bad": bad}, options.out)
            browser.close()


def _write_digits(data: Path, folder: Path) -> None:
    """The first test digits as files: zeros in `good`, each other digit in a folder of its own."""
    samples = [sample for sample in open_idx(data, ["0"]).samples if sample.split == "test"][:NUM_DIGITS]
    for number, sample in enumerate(samples):
        kind = folder / ("good" if sample.kind == "0" else f"digit-{sample.kind}")
        kind.mkdir(parents=True, exist_ok=True)
        assert sample.pixels is not None
        Image.fromarray(sample.pixels).save(kind / f"{number:04d}.png")


def _open(browser: Browser, url: str, folder: Path, size: ViewportSize, theme: Literal["light", "dark"]) -> Page:
    page = browser.new_page(viewport=size, color_scheme=theme)
    page.goto(url)
    page.locator("#model:enabled").wait_for()
    page.set_input_files("#folder", folder)
    page.locator("#workbench").wait_for()
    page.locator("#progress-bar").wait_for(state="hidden", timeout=300_000)
    return page


def _draw_compared(browser: Browser, url: str, files: list[Path], path: Path) -> None:
    """Some digits, judged by `mnist` and by `mnist-anogan` beside it."""
    page = browser.new_page(viewport=WIDE, color_scheme="light")
    page.goto(url)
    page.locator("#compare summary").click()
    page.get_by_label("mnist-anogan").check()
    page.keyboard.press("Escape")
    page.set_input_files("#files", files)
    page.locator("#workbench").wait_for()
    page.locator("#progress-bar").wait_for(state="hidden", timeout=300_000)
    _keep(page, path)
    page.close()


def _draw_line(browser: Browser, url: str, files: dict[str, Path], out: Path) -> None:
    """The screen for the line with each verdict."""
    page = browser.new_page(viewport=SCREEN, color_scheme="light")
    page.goto(f"{url}#line")
    for verdict, file in files.items():
        page.set_input_files("#files", file)
        page.locator(f"#line[data-state={verdict}]").wait_for()
        _keep(page, out / f"page-line-{verdict}.png")
    page.close()


def _keep(page: Page, path: Path) -> None:
    page.wait_for_timeout(500)  # thumbnails are painted after the last answer
    picture = Image.open(BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of MNIST's own files")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of bundles with mnist in it")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder for the pictures")
    return parser.parse_args()


if __name__ == "__main__":
    main()
