"""The model card: what a person wants to know about a bundle, made from its manifest and calibration."""

from anomaly.bundle.detectability import markdown_table, why_not_measured
from anomaly.bundle.manifest import DataRecord, Manifest
from anomaly.calibration import Calibration
from anomaly.config import Architecture, Method, NetworkConfig, Place, PreprocessConfig, Recipe, Resize
from anomaly.config.places import NOTICE
from anomaly.config.region import region_note
from anomaly.counted import counted
from anomaly.defaults import ALPHA
from anomaly.sizes import range_text

_TITLES = {
    Method.BIGAN: "BiGAN: an encoder finds the latent",
    Method.ANOGAN: "AnoGAN: a gradient search finds the latent",
    Method.F_ANOGAN: "f-AnoGAN: an encoder, learnt after the game, finds the latent",
    Method.ALAD: "ALAD: an encoder finds the latent, and discriminators of cycles judge it",
    Method.AUTOENCODER: "Autoencoder: an encoder finds the latent, and no game is played",
    Method.FEATURES: "Places are compared with those of normal images, on the maps of a pretrained network",
}


def model_card(manifest: Manifest, calibration: Calibration, *, name: str, version: int) -> str:
    """Markdown, ending with a newline."""
    data, recipe = manifest.data, manifest.recipe
    preprocess, training = recipe.preprocess, recipe.training
    normal = f", normal: {', '.join(data.normal)}" if data.normal else ""
    thresholds = "\n".join(
        f"| {alpha:g} | {'too few calibration images' if t is None else f'{t:.6g}'} |"
        for alpha, t in ((alpha, calibration.threshold(alpha)) for alpha in (0.01, 0.05, 0.1))
    )
    metrics = "\n".join(f"| {key} | {value:.4g} |" for key, value in sorted(manifest.metrics.items()))
    return f"""# {name}, version {version}

{_TITLES[training.method]}. Learnt from {counted(data.num_train, "normal image")} of {data.source}{normal}.
{_labelled(data)}

| | |
|---|---|
| images | {_images(preprocess)} |
| region | {region_note(preprocess.region) or "the whole picture"} |
| recipe | {_recipe(manifest)} |
| networks | {_networks(recipe)} |
| training | {manifest.steps_done}, each of {training.batch_size} {_examples(recipe)}, seed {training.seed} |
| normals | {data.num_train:,} train, {data.num_select:,} select, {_calibrate(data)}{_report(data)} |{_sizes(data)}
{_parts(data)}| left out | {counted(data.num_left_out, "file")} that could not be read{_where_named(manifest)} |
| exact copies left out | {data.num_copies:,} |
| score | "{recipe.score.combine}"; higher is more anomalous |
| precision | {recipe.score.precision}; in any batch a score is the same to {manifest.tolerance:.3%}, or so much of 1 |
| made | {manifest.created} |
| {_last_learnt(data)} with | {", ".join(f"{key} {value}" for key, value in manifest.libraries.items())} |

The command that trained it:

```
{manifest.command}
```

## Thresholds

An image is called anomalous where its score is above the threshold of the false-alarm rate alpha.

| alpha | threshold |
|---|---|
{thresholds}
{_detectability(manifest)}
## Training, last values

| | |
|---|---|
{metrics}
{_warnings(manifest.warnings)}{_notice(recipe)}
The curves are in `history.csv`. Trained on the images above, it knows nothing of any other kind: an image of another
subject, camera or light is abnormal to it. The guarantee on false alarms holds for images drawn as the calibration
images were.
"""


def _labelled(data: DataRecord) -> str:
    """Whether anything but normal images taught it."""
    if not data.labelled:
        return "No abnormal image was used."
    return f"{data.labelled_text} taught it too, by `anomaly refine`. Thresholds are of normal images alone."


def _last_learnt(data: DataRecord) -> str:
    """What made the last of its networks."""
    return "refined" if data.labelled else "trained"


def _where_named(manifest: Manifest) -> str:
    return (
        "; VERSION.left_out.csv, beside the bundle that was trained, names them" if manifest.data.num_left_out else ""
    )


def _detectability(manifest: Manifest) -> str:
    """A section of its own, where normals were held out for it."""
    record, data = manifest.detectability, manifest.data
    if record is None:
        why = why_not_measured(data.num_report, data.num_calibrate, ALPHA)
        return f"\n{why}\n" if why else ""
    return f"""
## How small a defect is found

{" ".join(record.sentences())}

Each cell is found/shown and the 95% interval in percent.

{markdown_table(record)}
"""


def _calibrate(data: DataRecord) -> str:
    """How many calibrate, and whether they are others than those of `source`."""
    later = " (given to `anomaly calibrate` later)" if data.calibration_fingerprint != data.fingerprint else ""
    return f"{data.num_calibrate:,} calibrate{later}"


def _sizes(data: DataRecord) -> str:
    """A row for the sizes on disk of those that calibrate, where they were kept."""
    sizes = data.calibration_sizes
    return f"\n| sizes of those that calibrate | {range_text(sizes)} pixels |" if sizes else ""


def _report(data: DataRecord) -> str:
    return f", {data.num_report:,} report" if data.num_report else ""


def _parts(data: DataRecord) -> str:
    """A row each for the parts of the training and of the calibration, where they were told apart."""
    rows = []
    if data.groups:
        rows.append(
            f"| parts | {data.num_train_parts:,} train, {data.num_select_parts:,} select, each in one set by --groups "
            f"{_code(data.groups)} |"
        )
    if data.calibration_groups:
        rows.append(
            f"| parts that calibrate | {data.num_calibrate:,}, one picture each, by --groups "
            f"{_code(data.calibration_groups)}: p-values and false-alarm rates are for pictures of new parts |"
        )
    if data.num_unused:
        rows.append(f"| other pictures of such parts | {data.num_unused:,}, used for nothing |")
    return "".join(f"{row}\n" for row in rows)


def _code(text: str) -> str:
    """In a cell of a table; in a code span of one, GitHub's Markdown takes only the bar for its own."""
    return f"`{text.replace('|', chr(92) + '|')}`"


def _warnings(warnings: list[str]) -> str:
    """A section of its own, where there are any."""
    return "".join(["\n## Warnings\n\n", *(f"- {warning}\n" for warning in warnings)]) if warnings else ""


def _notice(recipe: Recipe) -> str:
    return f"\n## Notice\n\n{NOTICE}\n" if recipe.has_pretrained else ""


def _examples(recipe: Recipe) -> str:
    """What a batch is of."""
    return "images" if recipe.has_generator else "places of images"


def _recipe(manifest: Manifest) -> str:
    """Its name, why it was chosen, and the auxiliary discriminators."""
    chosen = manifest.recipe_name or "not named"
    reason = f" ({manifest.recipe_reason})" if manifest.recipe_reason else ""
    return f"{chosen}{reason}{_auxiliaries(manifest.recipe)}"


def _auxiliaries(recipe: Recipe) -> str:
    there = [name for name, value in recipe.auxiliary if value]
    return f"; auxiliary discriminators: {', '.join(there)}" if there else ""


def _images(preprocess: PreprocessConfig) -> str:
    colour = "colour" if preprocess.channels == 3 else "grey"
    if preprocess.resize is Resize.WHOLE:
        return f"{colour}, in their own shape, at a scale of {preprocess.scale:g}"
    return f'{preprocess.channels} × {preprocess.size} × {preprocess.size}, resized by "{preprocess.resize}"'


def _networks(recipe: Recipe) -> str:
    if recipe.has_generator:
        network = recipe.network
        matched = "; features matched by EfficientNet-Lite0 up to 1/16 (pretrained) too" if network.phi else ""
        return f"{network.architecture}, {network.latent_dim} latent dimensions, {_layers(network)}{matched}"
    features = recipe.features
    num = features.memory_per_place if features.places is Place.SAME else features.memory
    memory = f'{num:,} remembered, compared with "{features.places}"' if features.memory else "no memory"
    discriminator = f"a discriminator, sigma {features.sigma:g}" if features.discriminator else "no discriminator"
    sizes = [*(["their size"] if features.restorer else []), *(["half of it"] if features.half_restorer else [])]
    restored = f"; maps restored by E and G, of pictures at {' and '.join(sizes)}" if sizes else ""
    return (
        f"EfficientNet-Lite0 up to 1/16 (pretrained); places: {memory}; {discriminator}{restored}; "
        f'measured by "{features.standardise}"'
    )


def _layers(network: NetworkConfig) -> str:
    if network.architecture is Architecture.MLP:
        return f"hidden layers of {', '.join(map(str, network.hidden))}"
    return f"widths from {network.width} to at most {network.max_width}"
