"""What is said of the files of many images names the first of them."""

from anomaly.data.decoding.appearance import Remark
from anomaly.data.remarks import Remarks


def test_of_one_image_and_of_many_the_first_is_named() -> None:
    remarks = Remarks()
    remarks.add("a.tif", {Remark.FIRST_OF_SEVERAL})
    remarks.add("b.tif", ())
    assert remarks.sentences() == [f"1 of the images, a.tif: {Remark.FIRST_OF_SEVERAL}"]
    later = Remarks()
    later.add("c.tif", {Remark.FIRST_OF_SEVERAL, Remark.ALPHA_IGNORED})
    later.add("d.tif", {Remark.FIRST_OF_SEVERAL})
    remarks.update(later)
    assert remarks.sentences() == [
        f"1 of the images, c.tif: {Remark.ALPHA_IGNORED}",
        f"3 of the images, such as a.tif: {Remark.FIRST_OF_SEVERAL}",
    ]


def test_those_of_one_image_are_in_one_order_whatever_that_of_the_set() -> None:
    wanted = sorted(Remark)
    for given in (wanted, wanted[::-1]):
        remarks = Remarks()
        remarks.add("a.tif", given)
        assert list(remarks.found) == wanted


def test_without_anything_nothing_is_said() -> None:
    assert Remarks().sentences() == []
