"""`anomaly train`: from normal images to a calibrated bundle.

The normals part into three disjoint sets (law 5): *train* moves the weights, *select* sets the statistics of the terms
and the scale of the heatmaps, *calibrate* gives the ranks of p-values and thresholds and does nothing else.
"""

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from anomaly.bundle import Bundle, Contents, DataRecord, Golden, Manifest, load, save
from anomaly.calibration import Calibration
from anomaly.config import (
    Architecture,
    Method,
    NetworkConfig,
    PreprocessConfig,
    Prior,
    Resize,
    ScoreConfig,
    SearchConfig,
    TrainingConfig,
)
from anomaly.data import Dataset, NormalSplit, PixelStore, Sample, image_keys, open_dataset, split_normals, to_array
from anomaly.errors import ImageError, UsageError
from anomaly.inference import Passes
from anomaly.networks import Networks, default_feature_layer, feature_names
from anomaly.runtime import resolve_device
from anomaly.scoring import MapScale, TermStatistics, combine
from anomaly.training import Checkpoint, Diagnostics, Finding, HistoryRow, Trained, fit, tensorboard_files

NUM_GOLDEN = 4
_NUM_LOOKED_AT = 16  # images that decide size and channels where the user does not


@dataclass(frozen=True)
class TrainOptions:
    """What `anomaly train` is told. None: `size` and `channels` as the images are, D's default `feature_layer`."""

    data: str
    out: Path
    normal: tuple[str, ...] = ()
    training: TrainingConfig = field(default_factory=TrainingConfig)
    score: ScoreConfig = field(default_factory=ScoreConfig)
    search: SearchConfig | None = None
    size: int | None = None
    channels: int | None = None
    resize: Resize = Resize.PAD
    architecture: Architecture = Architecture.DCGAN
    prior: Prior = Prior.GAUSSIAN
    latent_dim: int = 16
    width: int = 24
    hidden: tuple[int, ...] = (1024, 256)
    discriminator_batch_norm: bool = False
    negatives: bool = False
    turns: bool = False
    feature_layer: str | None = None
    init_decoder: Path | None = None
    max_minutes: float | None = None
    device: str = "auto"
    resume: bool = False
    tensorboard: Path | None = None
    command: str = ""


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
    _check(options)
    device = resolve_device(options.device)
    dataset = open_dataset(options.data, normal=options.normal)
    samples = dataset.train_normals()
    preprocess = _choose_preprocess(samples, options)
    network = _choose_network(preprocess, options)
    feature_layer = _choose_feature_layer(network, options)
    decoder = _read_decoder(network, options)
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
        passes = Passes(
            trained.networks,
            method=options.training.method,
            loss=options.training.loss,
            search=options.search,
            feature_layer=feature_layer,
            feature_weight=options.score.feature_weight,
            device=device,
        )
        watch.on_calibrating()
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
    statistics = TermStatistics.fit(found.terms)
    calibrate = passes.reconstruct(store.pixels[split.calibrate])
    golden_pixels = select[:NUM_GOLDEN]
    golden = passes.reconstruct(golden_pixels)
    to_score = partial(
        combine, statistics=statistics, config=options.score, method=options.training.method, search=options.search
    )
    return Contents(
        manifest=Manifest(
            method=options.training.method,
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


def _choose_preprocess(samples: list[Sample], options: TrainOptions) -> PreprocessConfig:
    """As the user says; else as the images are: grey or colour, and the power of two that holds their median long side.

    At most 64: larger models are slow to train, so they are the user's to ask for.
    """
    looked_at = [_look(sample) for sample in samples[:_NUM_LOOKED_AT]]
    known = [shape for shape in looked_at if shape is not None]
    long_side = int(np.median([max(height, width) for height, width, _ in known])) if known else 32
    return PreprocessConfig(
        size=min(max(1 << (long_side - 1).bit_length(), 8), 64) if options.size is None else options.size,
        channels=(3 if any(colour for _, _, colour in known) else 1) if options.channels is None else options.channels,  # type: ignore[arg-type]
        resize=options.resize,
    )


def _look(sample: Sample) -> tuple[int, int, bool] | None:
    """Height, width, and whether there is any colour; None for an image that cannot be read (it is counted later)."""
    try:
        image = to_array(sample.open())
    except ImageError:
        return None
    return image.shape[0], image.shape[1], image.ndim == 3 and bool((image != image[:, :, :1]).any())


def _check(options: TrainOptions) -> None:
    """What neither the training's configuration nor the networks' can see alone."""
    training, search = options.training, options.search
    method = training.method
    if method is Method.ANOGAN and search is None:
        raise UsageError("anogan finds latents by search alone; give --search-steps of at least 1, or --method bigan")
    if search is not None and method in (Method.AUTOENCODER, Method.ALAD):
        raise UsageError(
            f"{method} finds latents by its encoder, and has no D(x) for a search; leave --search-steps away, "
            "or choose --method bigan, anogan or f-anogan"
        )
    if search is not None and search.objective != "feature-matching" and training.loss.has_critic:
        raise UsageError(
            f"a {training.loss} critic gives no probability to take the logarithm of; choose --search-objective "
            "feature-matching, or --loss non-saturating or minimax"
        )
    if options.score.combine == "taught" and not (options.negatives or options.turns):
        raise UsageError(
            "nothing was taught that could make the score; give --negatives or --turns, or leave --score away"
        )
    if options.discriminator_batch_norm and training.gradient_penalty:
        raise UsageError(
            "the gradient penalty is of each image alone, and batch norm mixes those of a batch; "
            "leave --discriminator-batch-norm away, or bound the critic by --clip-weights 0.01"
        )


def _choose_network(preprocess: PreprocessConfig, options: TrainOptions) -> NetworkConfig:
    method = options.training.method
    joint = method in (Method.BIGAN, Method.ALAD)
    search_needs_encoder = options.search is not None and options.search.start == "encoder"
    return NetworkConfig(
        architecture=options.architecture,
        size=preprocess.size,
        channels=preprocess.channels,
        latent_dim=options.latent_dim,
        prior=options.prior,
        width=options.width,
        max_width=8 * options.width,
        hidden=options.hidden,
        joint=joint,
        encoder=joint or method in (Method.AUTOENCODER, Method.F_ANOGAN) or search_needs_encoder,
        discriminator=method is not Method.AUTOENCODER,
        cycle_discriminators=method is Method.ALAD,
        patch_discriminator=options.negatives,
        turn_discriminator=options.turns,
        discriminator_batch_norm=options.discriminator_batch_norm,
    )


def _choose_feature_layer(network: NetworkConfig, options: TrainOptions) -> str | None:
    names, layer = feature_names(network), options.feature_layer
    if layer is not None and layer not in names:
        there = f"there are {', '.join(names)}" if names else f"{options.training.method} has no discriminator"
        raise UsageError(f"--feature-layer {layer}: D has no such layer; {there}")
    return layer or default_feature_layer(network)


def _read_decoder(network: NetworkConfig, options: TrainOptions) -> dict[str, Tensor] | None:
    """G's weights of another bundle, mostly an autoencoder's, to begin with."""
    if options.init_decoder is None:
        return None
    bundle = load(options.init_decoder)
    weights = {
        name.removeprefix("G."): torch.from_numpy(np.array(array))
        for name, array in bundle.contents.weights.items()
        if name.startswith("G.")
    }
    wanted = {name: tensor.shape for name, tensor in Networks(network).G.state_dict().items()}
    if wanted != {name: tensor.shape for name, tensor in weights.items()}:
        raise UsageError(
            f"--init-decoder {options.init_decoder}: its decoder has other layers than this G; train both with the "
            "same --network, --size, --channels, --latent-dim and --width"
        )
    return weights


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
