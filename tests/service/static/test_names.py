"""Names of files are texts: in the page, in requests, and in what a spreadsheet opens."""

import csv
from pathlib import Path

from playwright.sync_api import Browser, Dialog, Page, expect

from tests.service.fakes import Instance, png
from tests.service.static.desk import drop, finish, tiles, verdicts

STATIC = Path(__file__).parents[3] / "service" / "static"
HOSTILE = [
    "<img src=x onerror=alert(1)>.png",
    "<script>alert(1)</script>.png",
    '"><svg onload=alert(1)>.png',
    "javascript:alert(1).png",
    "';alert(1);'.png",
    "{{7*7}}${7*7}.png",
    "a\r\nContent-Disposition: form-data; name=x.png",
    "\u202egnp.exe",
    "__proto__",
    "💥" * 50 + ".png",
    "x" * 200 + ".png",
]
FORMULAS = ['=HYPERLINK("#A1","x")', "+1", "-1+cmd|' C calc'!A0", "@SUM(1)", "\t=1", " =1+1"]


def test_hostile_file_names_are_inert(page: Page) -> None:
    alarms: list[str] = []

    def note(dialog: Dialog) -> None:
        alarms.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", note)
    drop(page, {name: png(i) for i, name in enumerate(HOSTILE)})
    finish(page, shown=len(HOSTILE))
    assert set(verdicts(page)) == set(HOSTILE)  # to the letter
    assert set(verdicts(page).values()) == {"normal"}
    for index in range(len(HOSTILE)):
        tiles(page).nth(index).locator("button").click()
        expect(page.locator("#viewer-name")).to_be_visible()
        page.keyboard.press("Escape")
    page.set_viewport_size({"width": 1280, "height": 2000})
    drop(page, dict.fromkeys(HOSTILE, b"broken"))
    finish(page, shown=2 * len(HOSTILE))
    assert page.locator("#inspect :is(script, iframe, a[href], img, svg:not(.chart))").count() == 0
    assert alarms == []


def test_names_are_shown_as_they_are_and_whole_in_a_tooltip(page: Page) -> None:
    names = ["  two  spaces.png", "שלום עולם.png", "检查 ✅ é.png", "x" * 300 + "-17.png"]
    drop(page, {name: png(i) for i, name in enumerate(names)})
    finish(page, shown=len(names))
    page.locator("#sort").select_option("added")
    for index, name in enumerate(names):
        shown = tiles(page).nth(index).locator(".name")
        expect(shown).to_have_attribute("title", name)  # once the page has sorted
        assert shown.text_content() == name
    code = "(all) => all.map((each) => [getComputedStyle(each).whiteSpace, getComputedStyle(each).direction])"
    styles = tiles(page).locator(".name").evaluate_all(code)
    assert styles == [["pre", "ltr"], ["pre", "rtl"], ["pre", "ltr"], ["pre", "ltr"]]
    tiles(page).nth(3).locator("button").click()
    title = page.locator("#viewer-name")
    assert title.text_content() == names[3]
    assert title.evaluate("(each) => each.scrollWidth <= each.clientWidth && each.scrollHeight <= each.clientHeight")


def test_no_text_of_the_page_is_for_programmers() -> None:
    """Not a test of style: these stood there."""
    scripts = "".join(path.read_text("utf-8") for path in STATIC.glob("*.js"))
    for text in ("10^", "log₁₀", " σ", "martingale's"):
        assert text not in scripts, text


def test_markup_that_a_script_would_write_is_refused_by_the_policy(browser: Browser, line: Instance) -> None:
    page = browser.new_page()  # not `page`, whose console must stay silent
    page.goto(str(line.client.base_url))
    code = (
        "() => { try { document.body.innerHTML = '<b>x</b>'; return 'written'; } catch (error) { return error.name; } }"
    )
    assert page.evaluate(code) == "TypeError"
    page.close()


def exported(page: Page, folder: Path) -> list[dict[str, str]]:
    with page.expect_download() as download:
        page.get_by_role("button", name="Export CSV").first.click()
    path = folder / "scores.csv"
    download.value.save_as(path)
    assert download.value.suggested_filename == "scores.csv"
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_export_has_a_row_an_image_as_shown(page: Page, tmp_path: Path) -> None:
    drop(page, {"a.png": png(10), "b.png": png(1000), 'c,"d".png': png(20), "e.png": b"broken"})
    finish(page, shown=4)
    rows = exported(page, tmp_path)
    assert [(row["name"], row["verdict"], row["score"], row["p_value"]) for row in rows] == [
        ("b.png", "anomalous", "1000", "0.01"),
        ('c,"d".png', "normal", "20", "0.8"),
        ("a.png", "normal", "10", "0.9"),
        ("e.png", "failed", "", ""),
    ]
    assert {row["digest"] for row in rows} == {"digest of m/1", ""}
    assert {row["alpha"] for row in rows} == {"0.05"}
    assert rows[-1]["error"].startswith("Not an image format that this server reads.")


def test_no_cell_of_the_export_is_a_formula(page: Page, tmp_path: Path) -> None:
    drop(page, {name: png(5) for name in FORMULAS})
    finish(page, shown=len(FORMULAS))
    rows = exported(page, tmp_path)
    assert {row["name"] for row in rows} == {f"'{name}" for name in FORMULAS}
