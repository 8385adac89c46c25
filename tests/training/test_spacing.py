from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from anomaly.training.spacing import evenly_spaced


@given(st.integers(0, 50), st.integers(2, 50))
def test_all_rows_where_there_is_room_and_else_as_many_evenly_from_end_to_end(num: int, most: int) -> None:
    chosen = evenly_spaced(num, most).tolist()
    if num <= most:
        assert chosen == list(range(num))
        return
    assert (len(chosen), chosen[0], chosen[-1]) == (most, 0, num - 1)
    steps = {after - before for before, after in pairwise(chosen)}
    assert min(steps) >= 1
    assert max(steps) - min(steps) <= 1
