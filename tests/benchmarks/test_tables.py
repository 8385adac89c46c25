from typing import Any

from benchmarks.tables import to_page


def row(normal: str, auroc: float, *, seed: int = 0, method: str = "bigan", **more: Any) -> dict[str, Any]:
    return {
        "set": "mnist",
        "method": method,
        "normal": normal,
        "seed": seed,
        "auroc": auroc,
        "auroc_ci95": [auroc - 0.01, auroc + 0.01],
        "average_precision": 0.5,
        "baselines": {"pca": 0.9, "knn": 0.8},
        "fpr_at_threshold": 0.05,
        "tpr_at_threshold": None,
        "command": f"anomaly train mnist --normal {normal}",
        **more,
    }


def test_means_are_over_classes_of_the_means_over_seeds_and_leave_development_classes_out_of_the_unseen() -> None:
    page = to_page([row("0", 0.99), row("0", 0.97, seed=1), row("8", 0.9)])
    assert (
        "| bigan | 2 classes, 1 with 2 seeds, the others with 1 | **94.0** ± 1.4 | 98.0 | 94.0 | 90.0 | 80.0 | – | – |"
        in page
    )
    assert "| 0 | 98.0 ± 1.4 | 98.0–100.0 | 50.0 | 90.0 | 80.0 | 5.0, – |" in page
    assert "| 8 | 90.0 | 89.0–91.0 | 50.0 | 90.0 | 80.0 | 5.0, – |" in page
    assert "## CIFAR-10" not in page


def test_each_method_and_its_pixel_measures_have_their_own_table() -> None:
    tiles = row("", 0.9, method="autoencoder", pixel_auroc=0.7, aupro=0.4) | {"set": "magnetic-tile"}
    page = to_page([row("1", 0.99), row("1", 0.5, method="anogan"), tiles])
    assert page.index("## Magnetic tiles") < page.index("### MNIST, one digit normal: anogan")
    assert "| autoencoder | 1 class, 1 seed | **90.0** | – | – | 90.0 | 80.0 | 70.0 | 40.0 |" in page
    assert "| good | 90.0 |" in page
    assert "The first row's: `anomaly train mnist --normal 1 --out MODEL`" in page


def test_a_method_of_fewer_classes_stands_beside_the_default_on_the_same_ones() -> None:
    page = to_page([row("1", 0.99), row("2", 0.95), row("2", 0.8, method="anogan")])
    assert "| anogan | 1 class, 1 seed | **80.0** | – | 95.0 |" in page


def test_seeds_are_counted_as_they_are() -> None:
    def heading(*counts: int) -> str:
        rows = [row(str(kind), 0.9, seed=seed) for kind, num in enumerate(counts) for seed in range(num)]
        (line,) = [line for line in to_page(rows).splitlines() if line.startswith("| bigan |")]
        return line.split("|")[2].strip()

    assert heading(1, 1, 1) == "3 classes, 1 seed each"
    assert heading(2, 2) == "2 classes, 2 seeds each"
    assert heading(2, 1, 2, 1) == "4 classes, 2 with 2 seeds, the others with 1"
    assert heading(3, 2, 1, 2) == "4 classes, 2 with 2 seeds and 1 with 3 seeds, the others with 1"
    assert heading(3, 2, 2) == "3 classes, 1 with 3 seeds, the others with 2"


def test_commands_that_only_an_earlier_commit_takes_say_so() -> None:
    page = to_page([row("0", 0.9), row("0", 0.8, method="bigan-former")])
    assert page.count("The first row's, at commit 20ebbc2: `") == 1
    assert page.count("The first row's: `") == 1


def test_a_row_that_knows_its_time_and_machine_says_them_and_an_older_one_does_not() -> None:
    own: dict[str, Any] = {"train_s": 1234.4, "is_resumed": False, "machine": "a processor, 2 cores", "threads": 2}
    command = "The first row's: `anomaly train mnist --normal 0 --out MODEL`"
    assert f"{command}, in 1,234 s on a processor, 2 cores, 2 threads\n" in to_page([row("0", 0.9, **own)])
    assert f"{command}\n" in to_page([row("0", 0.9, **own | {"is_resumed": True})])
    assert f"{command}\n" in to_page([row("0", 0.9)])
