from threading import current_thread

from anomaly.inference.threads import EngineThreads


def test_results_come_in_order_from_threads_of_its_own() -> None:
    threads = EngineThreads(2, "some")
    assert threads.num == 2
    assert list(threads.map(lambda number: number * number, range(20))) == [number * number for number in range(20)]
    names = set(threads.map(lambda number: current_thread().name, range(20)))
    assert 0 < len(names) <= 2
    assert all(name.startswith("some_") for name in names)
