"""`anomaly train`: from normal images to a calibrated bundle.

The normals part into three disjoint sets (law 5): *train* moves the weights, *select* sets the statistics of the terms
and the scale of the heatmaps, *calibrate* gives the ranks of p-values and thresholds and does nothing else.
"""

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from anomaly.bundle import Bundle, Contents, DataRecord, Golden, Manifest, save
from anomaly.calibration import Calibration
from anomaly.config import Method, PreprocessConfig
from anomaly.data import Dataset, NormalSplit, PixelStore, image_keys, open_dataset, split_normals
from anomaly.errors import UsageError
from anomaly.inference import Passes
from anomaly.pipeline.choices import (
    TrainOptions,
    check_options,
    choose_feature_layer,
    choose_network,
    choose_preprocess,
    read_decoder,
)
from anomaly.runtime import resolve_device
from anomaly.scoring import MapScale, TermStatistics, combine
from anomaly.training import Checkpoint, Diagnostics, Finding, HistoryRow, Trained, fit, remember, tensorboard_files

NUM_GOLDEN = 4


@dataclass(frozen=True)
class TrainWatch:
    """How a caller watches: the images read, the steps done with the curves' means, the calibration begun.

    And each warning, once: what goes wrong in training, and what to change. A resumed run gives its earlier ones too.
    """

    on_reading: Callable[[int], None] = lambda total: None
    on_image: Callable[[], None] = lambda: None
    on_step: Callable[[int, HistoryRow], None] = lambda step, row: None
    on_calibrating: Callable[[], None] = lambda: None
    on_warning: Callable[[str], None] = lambda warning: None


def train_bundle(options: TrainOptions, watch: TrainWatch = TrainWatch()) -> Bundle:
    """Fit on normal images, calibrate on others of them, and write a new version under `options.out`.

    What a run needs to be resumed lies in `options.out/.training` until the next run starts anew.

    Raises:
        DataError: the data cannot be used.
        TrainingError: training diverged, or there is nothing to resume.
        UsageError: the options do not fit together.
        UsageError, BundleError: `options.out` cannot be written.
        DeviceError: no such device.
    """
    check_options(options)
    device = resolve_device(options.device)
    dataset = open_dataset(options.data, normal=options.normal)
    samples = dataset.train_normals()
    preprocess = choose_preprocess(samples, options)
    network = choose_network(preprocess, options)
    feature_layer = choose_feature_layer(network, options)
    decoder = read_decoder(network, options)
    work = _make_work_folder(options.out)
    pixels_file = work / "pixels.u8"
    watch.on_reading(len(samples))
    try:
        store = PixelStore.build(samples, preprocess, pixels_file, on_image=watch.on_image)
        split = split_normals(len(store.pixels), seed=options.training.seed)
        checkpoint = Checkpoint(work / "checkpoint.safetensors", data=store.fingerprint(), resume=options.resume)
        diagnostics = Diagnostics(options.training)
        with _curves(options, diagnostics, watch) as on_rows:
            trained = fit(
                store.pixels,
                np.array(split.train),
                network,
                options.training,
                device=device,
                checkpoint=checkpoint,
                decoder=decoder,
                select=np.array(split.select),
                should_stop=_stop_after(options, watch),
                on_rows=on_rows,
            )
        watch.on_calibrating()
        if options.memory:
            remember(trained.networks, store.pixels, np.array(split.train), np.array(split.select), device)
        passes = Passes(
            trained.networks,
            method=options.training.method,
            loss=options.training.loss,
            search=options.search,
            feature_layer=feature_layer,
            feature_weight=options.score.feature_weight,
            precision=options.precision,
            device=device,
        )
        return save(
            _contents(options, dataset, store, split, trained, diagnostics.found, preprocess, passes), options.out
        )
    finally:
        pixels_file.unlink(missing_ok=True)


def _contents(
    options: TrainOptions,
    dataset: Dataset,
    store: PixelStore,
    split: NormalSplit,
    trained: Trained,
    findings: Sequence[Finding],
    preprocess: PreprocessConfig,
    passes: Passes,
) -> Contents:
    select = store.pixels[split.select]
    found = passes.reconstruct(select)
    statistics = TermStatistics.fit(found.terms, options.precision)
    calibrate = passes.reconstruct(store.pixels[split.calibrate])
    golden_pixels = select[:NUM_GOLDEN]
    golden = passes.reconstruct(golden_pixels)
    to_score = partial(
        combine, statistics=statistics, config=options.score, method=options.training.method, search=options.search
    )
    return Contents(
        manifest=Manifest(
            method=options.training.method,
            precision=options.precision,
            preprocess=preprocess,
            network=trained.networks.config,
            training=options.training,
            search=options.search,
            score=options.score,
            feature_layer=passes.feature_layer,
            terms=list(statistics.names),
            data=_record(options, dataset, store, split),
            num_steps=trained.num_steps,
            kept_step=trained.kept_step,
            metrics=trained.last,
            warnings=[str(finding) for finding in findings],
            libraries={"python": platform.python_version(), **{name: version(name) for name in ("torch", "numpy")}},
            command=options.command,
            created=now(),
        ),
        weights={name: t.cpu().contiguous().numpy() for name, t in trained.networks.state_dict().items()},
        calibration=Calibration.fit(to_score(calibrate.terms)),
        statistics=statistics,
        map_scale=MapScale.fit(passes.maps(select, found.z_hat)),
        golden=Golden(
            golden_pixels,
            golden.z_hat,
            np.stack([golden.terms[name] for name in statistics.names], axis=1),
            to_score(golden.terms),
        ),
        seen=image_keys(store.pixels),
        history=trained.history,
    )


def _record(options: TrainOptions, dataset: Dataset, store: PixelStore, split: NormalSplit) -> DataRecord:
    return DataRecord(
        source=dataset.name,
        form=dataset.form,
        normal=list(options.normal),
        num_train=len(split.train),
        num_select=len(split.select),
        num_calibrate=len(split.calibrate),
        num_left_out=len(store.errors),
        fingerprint=store.fingerprint(),
        calibration_fingerprint=store.fingerprint(),
    )


def now() -> str:
    """This moment, as manifests record it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _make_work_folder(out: Path) -> Path:
    work = out / ".training"
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write under {out} ({error}); choose another --out") from error
    return work


@contextmanager
def _curves(
    options: TrainOptions, diagnostics: Diagnostics, watch: TrainWatch
) -> Iterator[Callable[[Sequence[HistoryRow]], None]]:
    """Where each row of the curves goes: to the diagnostics, whose findings are warned of, and to TensorBoard."""
    with tensorboard_files(options.tensorboard) if options.tensorboard else nullcontext() as write:

        def on_rows(rows: Sequence[HistoryRow]) -> None:
            if write is not None:
                write(rows)
            for finding in diagnostics.add(rows):
                watch.on_warning(str(finding))

        yield on_rows


def _stop_after(options: TrainOptions, watch: TrainWatch) -> Callable[[int, HistoryRow], bool]:
    """Reports each step; says stop when the minutes are over; a game that an encoder follows has two thirds."""
    started = time.monotonic()

    def should_stop(step: int, row: HistoryRow) -> bool:
        watch.on_step(step, row)
        if options.max_minutes is None:
            return False
        game_only = options.training.method is Method.F_ANOGAN and "loss_d" in row
        return time.monotonic() - started > 60 * options.max_minutes * (2 / 3 if game_only else 1)

    return should_stop
