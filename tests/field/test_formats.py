"""The page of formats is what the tests exercise."""

from tests.field.formats import PAGE, all_rows, page_of
from tests.field.rows import Row


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page_of(all_rows()), "run `python -m tests.field.formats` and check the change"


def test_sections_come_in_order_and_each_line_once() -> None:
    rows = [Row("B", "x | y", "read"), Row("A", "z", "refused"), Row("B", "w", "read"), Row("B", "x | y", "read")]
    page = page_of(rows)
    assert page.index("## B") < page.index("| x \\| y | read |") < page.index("| w | read |") < page.index("## A")
    assert page.count("| x \\| y | read |") == 1
