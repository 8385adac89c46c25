import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from anomaly.evaluation.results import choose_examples


def test_examples_are_the_best_and_worst_of_each_sort() -> None:
    scores = np.array([5.0, 1.0, 3.0, 4.0, 2.0, 6.0])
    labels = np.array([True, True, True, False, False, False])
    assert choose_examples(scores, labels, per_group=2) == {
        "Anomalies with the highest scores": [0, 2],
        "Anomalies with the lowest scores (missed first)": [1, 2],
        "Normals with the highest scores (false alarms first)": [5, 3],
        "Normals with the lowest scores": [4, 3],
    }


@given(st.lists(st.booleans(), max_size=20), st.integers(1, 8))
def test_ties_keep_their_order_and_groups_their_size(flags: list[bool], per_group: int) -> None:
    labels = np.array(flags, dtype=np.bool_)
    highest, missed, alarms, lowest = choose_examples(np.zeros(len(flags)), labels, per_group=per_group).values()
    assert highest == missed == np.flatnonzero(labels)[:per_group].tolist()
    assert alarms == lowest == np.flatnonzero(~labels)[:per_group].tolist()
