"""The command line: parses, calls the pipeline, prints. No torch is imported before a command needs it.

Exit codes: 0 done; 1 done, but some inputs could not be scored; 2 wrong usage, or nothing could be done.
"""

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from anomaly.config import (
    Architecture,
    Loss,
    Method,
    NetworkConfig,
    Precision,
    Prior,
    Resize,
    ScoreConfig,
    SearchConfig,
    TrainingConfig,
)
from anomaly.errors import AnomalyError, UsageError
from anomaly.progress import ImageBar, TrainingBar

app = typer.Typer(
    help="Learns what normal images look like from normal images alone, and tells of any new image how abnormal it is.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models_app = typer.Typer(help="List, show and verify bundles.", no_args_is_help=True)
app.add_typer(models_app, name="models")
keys_app = typer.Typer(help="Make, list and remove the API keys of `anomaly serve --keys`.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")
history_app = typer.Typer(help="Use the history that `anomaly serve --history` keeps.", no_args_is_help=True)
app.add_typer(history_app, name="history")
out, err = Console(soft_wrap=True, highlight=False), Console(stderr=True, soft_wrap=True, highlight=False)

Model = Annotated[Path, typer.Argument(help="A bundle: models/NAME (its current version) or models/NAME/VERSION.")]
Data = Annotated[
    str,
    typer.Argument(
        help="A folder of normal images; an MVTec-style tree; a folder per class or MNIST's IDX files (with --normal); "
        "a CSV manifest (path,label,split,mask); or 'digits', built in."
    ),
]
Normal = Annotated[str, typer.Option(help="The classes that are normal, comma-separated, where DATA has classes.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Alpha = Annotated[float, typer.Option(help="The false-alarm rate: the share of normal images that may be flagged.")]
KeyFile = Annotated[Path, typer.Option(help="The file of keys, to be given to `anomaly serve --keys`.")]
KEY_FILE = Path("keys.txt")
_NETWORK, _TRAINING, _SCORE, _SEARCH = NetworkConfig(), TrainingConfig(), ScoreConfig(), SearchConfig()


@app.command()
def train(
    data: Data,
    out_: Annotated[Path, typer.Option("--out", help="models/NAME: a new version is written under it.")],
    method: Annotated[
        Method,
        typer.Option(
            help="bigan: the game on pairs (x, z), an encoder finds latents; anogan: a GAN, a search "
            "finds them; f-anogan: a Wasserstein GAN, then an encoder; alad: bigan with discriminators of cycles; "
            "autoencoder: no game."
        ),
    ] = _TRAINING.method,
    normal: Normal = "",
    size: Annotated[
        int | None,
        typer.Option(
            help="Side of the model's images: a power of two from 8 to 256; any up to 256 with --network mlp. "
            "Default: by the images."
        ),
    ] = None,
    channels: Annotated[int | None, typer.Option(help="1 grey, 3 colour. Default: by the images.")] = None,
    resize: Annotated[Resize, typer.Option(help="How other shapes become squares.")] = Resize.PAD,
    seed: Annotated[int, typer.Option(help="Decides the split, the weights and every draw.")] = _TRAINING.seed,
    steps: Annotated[int, typer.Option(help="Training steps.")] = _TRAINING.steps,
    max_minutes: Annotated[
        float | None, typer.Option(min=0.0, help="Stop training after this time, and keep what there is.")
    ] = None,
    device: Device = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint of the same run.")] = False,
    tensorboard: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write each step's curves as TensorBoard's files into this folder."),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Images a step.")] = _TRAINING.batch_size,
    network: Annotated[
        Architecture,
        typer.Option(
            help="dcgan: convolutions; mlp: fully connected layers; lenet: a LeNet-5 as D, for 32 × 32 images."
        ),
    ] = _NETWORK.architecture,
    loss: Annotated[
        Loss | None,
        typer.Option(help="What D and G play for. Default: non-saturating; wasserstein for f-anogan."),
    ] = None,
    optimizer: Annotated[str, typer.Option(help="adam, or sgd with --momentum.")] = _TRAINING.optimizer,
    learning_rate: Annotated[float, typer.Option(help="The optimizer's rate.")] = _TRAINING.learning_rate,
    momentum: Annotated[float, typer.Option(help="Of sgd.")] = _TRAINING.momentum,
    d_steps: Annotated[int, typer.Option(help="Moves of D a step, each on new images.")] = _TRAINING.d_steps,
    g_steps: Annotated[int, typer.Option(help="Moves of G (and E) a step, each on new latents.")] = _TRAINING.g_steps,
    gradient_penalty: Annotated[
        float | None, typer.Option(help="Weight of (‖∇D‖ - 1)². Default: 10 for f-anogan, else 0.")
    ] = None,
    clip_weights: Annotated[
        float, typer.Option(help="Clip D's weights to this size after each move; 0: not.")
    ] = _TRAINING.clip_weights,
    spectral_norm: Annotated[
        bool | None,
        typer.Option(
            "--spectral-norm/--no-spectral-norm",
            help="Constrain D's weights. Default: yes, unless penalty, clipping or batch norm is asked for.",
        ),
    ] = None,
    discriminator_batch_norm: Annotated[
        bool, typer.Option("--discriminator-batch-norm", help="Batch norm in D too, as the DCGAN paper has it.")
    ] = False,
    negatives: Annotated[
        bool,
        typer.Option(
            "--negatives",
            help="A patch discriminator learns besides, from normals spoilt in places, what is wrong where: for "
            "surfaces and small defects, which want --size 128 or 256.",
        ),
    ] = False,
    memory: Annotated[
        bool,
        typer.Option(
            "--memory",
            help="With --negatives: it remembers up to 1,024 training images in its features, and what lies far from "
            "all of them is strange too. For parts that lie alike; a part that was never seen may be strange as well.",
        ),
    ] = False,
    turns: Annotated[
        bool,
        typer.Option(
            "--turns",
            help="A turn discriminator learns besides how images are turned, and doubts where one is not as normals "
            "are: for objects that stand upright.",
        ),
    ] = False,
    augment: Annotated[
        bool,
        typer.Option(
            "--augment",
            help="Train on images turned, scaled and shifted a little, anew each time: for fewer than 1,000 of them.",
        ),
    ] = _TRAINING.augment,
    prior: Annotated[Prior, typer.Option(help="Where z comes from.")] = _NETWORK.prior,
    latent_dim: Annotated[int, typer.Option(help="Dimensions of z.")] = _NETWORK.latent_dim,
    width: Annotated[
        int, typer.Option(help="Channels of the widest maps; doubled as the side halves, up to 8 times.")
    ] = _NETWORK.width,
    hidden: Annotated[str, typer.Option(help="Units of the hidden layers of --network mlp, D's order.")] = "1024,256",
    init_decoder: Annotated[
        Path | None, typer.Option(help="A bundle, mostly an autoencoder's, whose decoder G begins as.")
    ] = None,
    keep: Annotated[
        str,
        typer.Option(
            help="last, or best: the averaged networks with the best stop criterion, judged on normals that are not "
            "trained on."
        ),
    ] = _TRAINING.keep,
    adversarial: Annotated[
        float, typer.Option(help="Weight of the game in the loss of G and E; 0: by the cycles alone, while D learns.")
    ] = _TRAINING.adversarial,
    cycle_x: Annotated[
        float | None, typer.Option(help="Weight of mean |x - G(E(x))|. Default: 50 for bigan, 0 for alad.")
    ] = None,
    cycle_z: Annotated[
        float | None, typer.Option(help="Weight of mean (z - E(G(z)))². Default: 0.5 for bigan, 0 for alad.")
    ] = None,
    train_precision: Annotated[
        Precision, typer.Option(help="What training computes in: bf16 where the machine is fast at it.")
    ] = _TRAINING.precision,
    precision: Annotated[
        Precision,
        typer.Option(
            help="What the bundle scores in. bf16 is about twice as fast where the machine has instructions for it; "
            "scores are the same from batch to batch to 2 % then, instead of 0.001 %."
        ),
    ] = Precision.FP32,
    score: Annotated[
        str | None,
        typer.Option(
            help="How terms become a score: mahalanobis over all terms; taught: by what --negatives and --turns "
            "taught, and a tenth of that; or paper: that of the method's paper. Default: taught where anything was, "
            "else mahalanobis."
        ),
    ] = None,
    feature_weight: Annotated[float, typer.Option(help="λ of A(x) = (1-λ)R(x) + λF(x), in score and search.")] = (
        _SCORE.feature_weight
    ),
    search_steps: Annotated[
        int | None,
        typer.Option(
            help=f"Steps of the latent search; 0: none. Default: {_SEARCH.steps} for anogan, and 0 for bigan, whose "
            "encoder needs none."
        ),
    ] = None,
    search_start: Annotated[
        str,
        typer.Option(help="Where searches start: encoder, which anogan learns beside the game, or prior: draws of it."),
    ] = _SEARCH.start,
    search_rate: Annotated[float, typer.Option(help="Adam's rate in the search.")] = _SEARCH.learning_rate,
    search_objective: Annotated[
        str,
        typer.Option(
            help="What searches minimise beside the residual: feature-matching (AnoGAN's second form), or D's loss "
            "(its first): cross-entropy, -log D(G(z)), or saturating, log(1 - D(G(z)))."
        ),
    ] = _SEARCH.objective,
    restarts: Annotated[int, typer.Option(help="Searches an image; the best counts.")] = _SEARCH.restarts,
    feature_layer: Annotated[
        str | None, typer.Option(help="The layer f of F(x), by name: conv1, conv2, …; hidden1, …; C1, S2, …, F6.")
    ] = None,
) -> None:
    """Learn from normal images, calibrate on others of them, and write a new bundle version."""
    with _usage():
        from anomaly.pipeline import TrainOptions, TrainWatch, train_bundle

        if spectral_norm is None and discriminator_batch_norm:
            spectral_norm = False
        training = TrainingConfig.choose(
            {
                "method": method,
                "loss": loss,
                "steps": steps,
                "d_steps": d_steps,
                "g_steps": g_steps,
                "batch_size": batch_size,
                "optimizer": optimizer,
                "learning_rate": learning_rate,
                "momentum": momentum,
                "spectral_norm": spectral_norm,
                "gradient_penalty": gradient_penalty,
                "clip_weights": clip_weights,
                "keep": keep,
                "augment": augment,
                "adversarial": adversarial,
                "cycle_x": cycle_x,
                "cycle_z": cycle_z,
                "precision": train_precision,
                "seed": seed,
            }
        )
        if search_steps is None:
            search_steps = _SEARCH.steps if method is Method.ANOGAN else 0
        search = {
            "objective": search_objective,
            "start": search_start,
            "learning_rate": search_rate,
            "restarts": restarts,
            "steps": search_steps,
        }
        options = TrainOptions(
            data=data,
            out=out_,
            normal=_names(normal),
            training=training,
            score=ScoreConfig.model_validate(
                {
                    "combine": score or ("taught" if negatives or turns else _SCORE.combine),
                    "feature_weight": feature_weight,
                }
            ),
            search=SearchConfig.model_validate(search) if search_steps else None,
            precision=precision,
            size=size,
            channels=channels,
            resize=resize,
            architecture=network,
            prior=prior,
            latent_dim=latent_dim,
            width=width,
            hidden=_numbers(hidden),
            discriminator_batch_norm=discriminator_batch_norm,
            negatives=negatives,
            memory=memory,
            turns=turns,
            feature_layer=feature_layer,
            init_decoder=init_decoder,
            max_minutes=max_minutes,
            device=device,
            resume=resume,
            tensorboard=tensorboard,
            command=_command(),
        )
        with TrainingBar(err, steps, max_minutes) as bar:
            bundle = train_bundle(options, TrainWatch(bar.reading, bar.image, bar.step, bar.calibrating, bar.warn))
    out.print(f"wrote {escape(str(bundle.ref.path))} (version {bundle.version}, digest {bundle.digest[:12]})")
    record = bundle.manifest.data
    out.print(f"{record.num_train} train, {record.num_select} select, {record.num_calibrate} calibrate")
    if record.num_left_out:
        err.print(f"{record.num_left_out} files could not be read and were left out")


@app.command()
def calibrate(model: Model, data: Data, normal: Normal = "", alpha: Alpha = 0.05, device: Device = "auto") -> None:
    """Give a model the ranks of new normal images, as a new version; nothing is retrained."""
    with _usage():
        from anomaly.calibration import check_alpha
        from anomaly.pipeline import calibrate_bundle

        check_alpha(alpha)
        with ImageBar(err, "Calibrating") as bar:
            summary = calibrate_bundle(
                model, data, normal=_names(normal), device=device, on_reading=bar.start, on_image=bar.advance
            )
    bundle, calibration = summary.bundle, summary.bundle.contents.calibration
    if summary.num_seen:
        err.print(f"{summary.num_seen} images were left out: the model was made from them")
    if summary.num_failed:
        err.print(f"{summary.num_failed} files could not be read and were left out")
    out.print(f"wrote {escape(str(bundle.ref.path))} with {calibration.num_calibration} calibration images")
    threshold = calibration.threshold(alpha)
    out.print(calibration.shortage(alpha) or f"threshold at alpha {alpha:g}: {threshold:.6g}")


@app.command()
def score(
    model: Model,
    inputs: Annotated[list[str], typer.Argument(help="Images, or folders of images.")],
    out_: Annotated[Path, typer.Option("--out", help="The results: .csv, .jsonl or .parquet.")],
    alpha: Alpha = 0.05,
    fdr: Annotated[
        float | None, typer.Option(help="Also flag so that at most this share of the flagged are false alarms.")
    ] = None,
    heatmaps: Annotated[Path | None, typer.Option(help="Draw each image with its heatmap into this folder.")] = None,
    device: Device = "auto",
) -> None:
    """Score images: one row each, with its score, p-value and verdict, or the reason why it has none."""
    with _usage():
        from anomaly.pipeline import score_paths

        with ImageBar(err, "Scoring") as bar:
            summary = score_paths(
                model,
                inputs,
                out_,
                alpha=alpha,
                fdr=fdr,
                heatmaps=heatmaps,
                device=device,
                on_total=bar.start,
                on_image=bar.advance,
            )
    for shortage in summary.shortages:
        err.print(shortage)
    skipped = f", {summary.num_skipped} other files skipped" if summary.num_skipped else ""
    out.print(
        f"{summary.num_rows} rows in {escape(str(out_))}: {summary.num_anomalous} anomalous, "
        f"{summary.num_failed} without a score{skipped}"
    )
    if summary.num_failed:
        raise typer.Exit(2 if summary.num_failed == summary.num_rows else 1)


@app.command()
def evaluate(
    model: Model,
    data: Data,
    out_: Annotated[Path, typer.Option("--out", help="A folder for metrics.json, scores.csv, roc.png, report.html.")],
    normal: Normal = "",
    alpha: Alpha = 0.05,
    sample: Annotated[
        int | None, typer.Option(help="Use only this many test images, drawn at random by a fixed seed.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Measure a model on labelled images it has never seen, beside PCA and nearest neighbours on the same split."""
    with _usage():
        from anomaly.pipeline import evaluate_bundle

        with ImageBar(err, "Reading") as bar:
            summary = evaluate_bundle(
                model,
                data,
                out_,
                normal=_names(normal),
                alpha=alpha,
                sample=sample,
                device=device,
                on_reading=bar.start,
                on_image=bar.advance,
            )
    if summary.num_seen:
        err.print(f"{summary.num_seen} images were left out: the model was made from them")
    table = Table(box=None, show_header=False)
    for name, value in summary.numbers().items():
        table.add_row(name, f"{value:.6g}")
    out.print(table)
    out.print(f"report: {escape(str(out_ / 'report.html'))}")
    if summary.num_failed:
        err.print(f"{summary.num_failed} files could not be read; metrics.json says why")
        raise typer.Exit(1)


@app.command()
def inspect(
    model: Model,
    data: Annotated[
        str | None,
        typer.Argument(help="Images to reconstruct, as for evaluate or train. Default: the bundle's golden images."),
    ] = None,
    *,
    out_: Annotated[
        Path, typer.Option("--out", help="A folder for samples.png, walk.png, reconstructions.png, curves.png.")
    ],
    normal: Normal = "",
    device: Device = "auto",
) -> None:
    """Draw what a model has learnt: samples, walks among latents, reconstructions, and its training curves."""
    with _usage():
        from anomaly.pipeline import inspect_bundle

        with ImageBar(err, "Reading") as bar:
            summary = inspect_bundle(
                model, data, out_, normal=_names(normal), device=device, on_reading=bar.start, on_image=bar.advance
            )
    for path in summary.paths:
        out.print(escape(str(path)))
    if summary.num_failed:
        err.print(f"{summary.num_failed} files could not be read and were left out")
        raise typer.Exit(1)


@app.command()
def serve(
    models: Annotated[Path | None, typer.Option(help="The folder that holds the bundles. Default: models.")] = None,
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on; other than loopback needs --keys or --insecure. Default: 127.0.0.1."),
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0: any free one. Default: 8000.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:N or mps. Default: auto.")] = None,
    default_model: Annotated[
        str | None, typer.Option(help="The bundle that answers where a request names none, if there are several.")
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(help="The file of API keys, made by `anomaly keys add`. Without: none are asked for.")
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option(help="Keep what is scored, and people's corrections, in this SQLite file. Without: nothing."),
    ] = None,
    history_thumbnails: Annotated[
        bool | None, typer.Option("--history-thumbnails", help="Keep a small picture of each image there too.")
    ] = None,
    insecure: Annotated[
        bool | None, typer.Option("--insecure", help="Listen on any address without access control.")
    ] = None,
) -> None:
    """Serve the bundles over HTTP: POST /score, POST /score/batch, GET /models, and a page at /.

    What is not given here is taken from the environment (ANOMALY_PORT, ANOMALY_MAX_BATCH, …), as docs/guide.md lists.
    """
    with _usage():
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when torch is: decoding needs the cores in between
        from service.app import serve as serve_http
        from service.settings import read_settings

        serve_http(
            read_settings(
                models=models,
                host=host,
                port=port,
                device=device,
                default_model=default_model,
                keys=keys,
                history=history,
                history_thumbnails=history_thumbnails,
                insecure=insecure,
            )
        )


@models_app.command("list")
def models_list(
    models: Annotated[Path, typer.Argument(help="The folder that holds the bundles.")] = Path("models"),
) -> None:
    """Every bundle and version, without opening them."""
    with _usage():
        from anomaly.bundle import list_bundles

        refs = list_bundles(models)
    current = {ref.name: ref.version for ref in refs}
    for ref in refs:
        out.print(f"{escape(ref.name)}/{ref.version}{'  (current)' if current[ref.name] == ref.version else ''}")
    if not refs:
        err.print(f"no bundles under {escape(str(models))}; make one with `anomaly train`")


@models_app.command("show")
def models_show(model: Model) -> None:
    """A bundle's model card."""
    with _usage():
        from anomaly.bundle import load

        bundle = load(model)
    out.print(bundle.card, markup=False)
    out.print(f"digest {bundle.digest}")


@models_app.command("verify")
def models_verify(model: Model, device: Device = "auto") -> None:
    """Check a bundle's sums, schema, shapes and weights, and score its golden images again."""
    with _usage():
        from anomaly.inference import load_detector

        bundle = load_detector(model, device=device).bundle
    out.print(f"{escape(str(bundle.ref.path))} is sound, digest {bundle.digest}")


@keys_app.command("add")
def keys_add(
    name: Annotated[str, typer.Argument(help="Whose key it is; the server's log calls it so.")],
    file: KeyFile = KEY_FILE,
    scope: Annotated[
        str, typer.Option(help="What it is for, comma-separated: score (ask for scores), admin (load bundles).")
    ] = "score",
) -> None:
    """Make a key and print it, this once: the file keeps its hash only. A running server takes it at SIGHUP."""
    with _usage():
        from service.keys import add_key

        out.print(add_key(file, name, _names(scope)), markup=False)


@keys_app.command("list")
def keys_list(file: KeyFile = KEY_FILE) -> None:
    """The keys' names and what they are for."""
    with _usage():
        from service.keys import read_keys

        for key in read_keys(file):
            out.print(f"{key.name}  {','.join(sorted(key.scopes))}", markup=False)


@keys_app.command("remove")
def keys_remove(
    name: Annotated[str, typer.Argument(help="The key's name.")],
    file: KeyFile = KEY_FILE,
) -> None:
    """Take a key out of the file. A running server forgets it at SIGHUP."""
    with _usage():
        from service.keys import remove_key

        remove_key(file, name)


@history_app.command("export")
def history_export(
    history: Annotated[Path, typer.Argument(help="The file of `anomaly serve --history`.")],
    images: Annotated[list[Path], typer.Option(help="A folder of the image files as they were sent; may be repeated.")],
    out_: Annotated[Path, typer.Option("--out", help="The manifest to write, a .csv.")],
) -> None:
    """Make a data set of corrected images: `anomaly calibrate` reads one part of it, `anomaly evaluate` the other."""
    with _usage():
        from service.history.export import export_corrections

        with ImageBar(err, "Looking") as bar:
            made = export_corrections(history, images, out_, on_total=bar.start, on_image=bar.advance)
    out.print(
        f"wrote {escape(str(out_))}: {made.num_calibrate} normal images to calibrate with; to evaluate on, "
        f"{made.num_evaluate_normal} normal and {made.num_evaluate_anomalous} anomalous"
    )
    num_normal = made.num_calibrate + made.num_evaluate_normal
    if made.num_flagged_normals:
        err.print(
            f"{made.num_flagged_normals} of the {num_normal} normal images had been flagged. If more of these than of "
            "others were looked at, thresholds made from them are too high: correct all images of some hours instead"
        )
    if made.num_missing:
        err.print(f"{made.num_missing} corrected images have no file there")


def _command() -> str:
    """What was typed, as a bundle records it: without --resume, for a resumed run makes what a whole one makes."""
    return shlex.join(["anomaly", *(word for word in sys.argv[1:] if word != "--resume")])


def _names(comma_separated: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in comma_separated.split(",") if name.strip())


def _numbers(comma_separated: str) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in _names(comma_separated))
    except ValueError as error:
        raise UsageError(f"--hidden {comma_separated}: give whole numbers, as in 1024,256") from error


@contextmanager
def _usage() -> Iterator[None]:
    """A user's mistake, or the machine's refusal, is one sentence on standard error and exit code 2."""
    try:
        yield
    except (AnomalyError, OSError) as error:  # OSError: no permission, disk full, …; its text names the file
        err.print(f"[bold red]error:[/] {escape(str(error))}")
        raise typer.Exit(2) from error
    except ValidationError as error:
        for problem in error.errors():
            where = ".".join(str(part) for part in problem["loc"])
            message = problem["msg"].removeprefix("Value error, ")
            sentence = f"{where}: {message}; got {problem['input']!r}" if where else message
            err.print(f"[bold red]error:[/] {escape(sentence)}")
        raise typer.Exit(2) from error
