"""What a TIFF's directories may cost, whatever they claim."""

import tracemalloc

import pytest

from anomaly.data import decode
from anomaly.errors import UndecodableImageError, UnsupportedFormatError
from tests.tiffs import tiff_of_overlapping_values


@pytest.mark.parametrize(("num_bytes", "num_pages"), [(2**22, 1), (2**16, 1000)])
def test_values_that_overlap_do_not_fill_the_memory(num_bytes: int, num_pages: int) -> None:
    data = tiff_of_overlapping_values(num_bytes, num_pages)
    tracemalloc.start()
    with pytest.raises(UndecodableImageError, match="overlap, and take more room than the file has"):
        decode(data, name="it")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**26


def test_pages_may_share_a_few_values() -> None:
    with pytest.raises(UnsupportedFormatError, match="SampleFormat 0"):
        decode(tiff_of_overlapping_values(64, 200), name="it")
