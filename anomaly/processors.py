"""How many processors and threads there are to use: those of the machine, or fewer where the process is limited."""

import os


def num_processors() -> int:
    """Processors that this process may use at once.

    What limits it counts: its affinity (`taskset`), a container's share of time (`docker run --cpus`, a Kubernetes
    limit; cgroups 1 and 2), and LOKY_MAX_CPU_COUNT. More threads than that would only wait for each other. In an
    exported folder, which does without joblib, the affinity alone counts.
    """
    try:
        from joblib import cpu_count  # here: what starts quickly does not ask
    except ImportError:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(cpu_count())


def num_threads() -> int:
    """How many threads to use: `num_processors`, or OMP_NUM_THREADS, which other numerical libraries obey too."""
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(asked) if asked.isdecimal() and int(asked) else num_processors()
