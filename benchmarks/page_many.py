"""A thousand photographs dropped on the page at once: does the browser stay responsive, and its memory bounded?

    python -m benchmarks.page_many [--num 1000] [--width 1600] [--height 1200]

Serves `models/mnist`, draws photographs, and gives them to the page in Debian's Chromium. While they are scored the
gallery is scrolled. Prints how long it took, the longest task of the page's thread (while one runs, nothing answers),
the most requests at once, and the memory of all the browser's processes before and at most.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image
from playwright.sync_api import Page, Request, sync_playwright

from benchmarks.serving import serving

CHROMIUM = Path("/usr/bin/chromium")
WATCH_TASKS = """() => {
  window.longest = 0;
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) window.longest = Math.max(window.longest, duration);
  }).observe({ type: "longtask" });
}"""


def main() -> None:
    """Measure, and print a line for each figure."""
    options = _options()
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        files = _draw(Path(temporary), options.num, options.width, options.height)
        with serving(options.models, default_model="mnist") as server:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{server.port}/")
            page.locator("#model:enabled").wait_for()
            _measure(page, files)
            browser.close()


def _measure(page: Page, files: list[Path]) -> None:
    open_requests: set[Request] = set()
    num_at_once = [0]

    def begin(request: Request) -> None:
        if "/score" in request.url:
            open_requests.add(request)
            num_at_once[0] = max(num_at_once[0], len(open_requests))

    page.on("request", begin)
    page.on("requestfinished", lambda request: open_requests.discard(request))
    page.evaluate(WATCH_TASKS)
    before = most = _memory_mib()
    start = time.monotonic()
    page.set_input_files("#files", files)
    page.locator("#progress").wait_for()
    told = ""
    while page.locator("#progress").is_visible():
        page.evaluate("() => scrollTo(0, Math.random() * document.documentElement.scrollHeight)")
        page.wait_for_timeout(1000)
        most = max(most, _memory_mib())
        told = told or page.locator("#time-left").inner_text()
    took_s = time.monotonic() - start
    print(f"{len(files)} files in {took_s:.0f} s, {1000 * took_s / len(files):.0f} ms each; first told: {told}")
    print(f"longest task of the page: {page.evaluate('() => window.longest'):.0f} ms")
    print(f"requests at once: {num_at_once[0]}")
    print(f"memory of the browser: {before:.0f} MiB before, {most:.0f} MiB at most")
    print(f"elements in the document: {page.locator('*').count()}")


def _draw(folder: Path, num: int, width: int, height: int) -> list[Path]:
    """Photographs of noise and a gradient, of which each is another."""
    rng = np.random.default_rng(0)
    files = [folder / f"{number:04}.jpg" for number in range(num)]
    gradient = np.linspace(0, 200, width, dtype=np.float32)
    for file in files:
        coarse = rng.uniform(0, 55, (height // 16, width // 16)).astype(np.float32)
        noise = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR))
        Image.fromarray((gradient + noise).astype(np.uint8)).convert("RGB").save(file, quality=90)
    return files


def _memory_mib() -> float:
    """The proportional memory of this program's descendants that are Chromium's: shared pages count once."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            if "chrom" in process.name():
                total += process.memory_full_info().pss / 2**20
        except psutil.NoSuchProcess:
            pass
    return total


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of bundles with mnist in it")
    parser.add_argument("--num", type=int, default=1000, help="photographs")
    parser.add_argument("--width", type=int, default=1600, help="pixels of each")
    parser.add_argument("--height", type=int, default=1200, help="pixels of each")
    return parser.parse_args()


if __name__ == "__main__":
    main()
