import pytest

from service.edge.rates import RateLimit


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_then_the_rate_for_each_name_by_itself() -> None:
    clock = Clock()
    limit = RateLimit(2.0, 3, clock=clock)
    assert [limit.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert limit.take("b") == 0.0
    clock.now += 0.25
    assert limit.take("a") == 0.25
    clock.now += 0.25
    assert [limit.take("a") for _ in range(2)] == [0.0, 0.5]


def test_asking_in_vain_does_not_lengthen_the_wait() -> None:
    clock = Clock()
    limit = RateLimit(1.0, 1, clock=clock)
    limit.take("a")
    for _ in range(10):
        clock.now += 0.0625
        assert limit.take("a") > 0
    clock.now += 0.375
    assert limit.take("a") == 0.0


def test_an_idle_name_saves_up_no_more_than_a_burst() -> None:
    clock = Clock()
    limit = RateLimit(10.0, 2, clock=clock)
    limit.take("a")
    clock.now += 3600
    assert [limit.take("a") > 0 for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize(("rate", "burst"), [(0.5, 1), (7.0, 4), (100.0, 200)])
def test_in_the_long_run_the_rate_is_kept(rate: float, burst: int) -> None:
    clock = Clock()
    limit = RateLimit(rate, burst, clock=clock)
    granted = 0
    for _ in range(40_000):
        clock.now += 0.005
        granted += limit.take("a") == 0.0
    assert granted == pytest.approx(200 * rate + burst, abs=2)
