"""The README.md of an exported folder: what somebody needs who has only the folder."""

from anomaly.bundle import Bundle
from anomaly.config import Resize
from anomaly.config.places import PLACE, REFERENCE
from anomaly.export.runtimes import Runtime

_TEXT = """# {name}, version {version}: an anomaly detector as a folder

It tells of an image how abnormal it is, and whether that is more than a normal image shows. It was made by
`anomaly export`, and needs nothing of that project: Python 3.11 or later, and the packages in `requirements.txt`.
The digest of the bundle it was made of is `{digest}`.

```sh
python -m pip install -r requirements.txt
python predict.py IMAGE_OR_FOLDER...
```

Where pip refuses to install, make an environment with `python -m venv env`. Then write `env/bin/python` (on Windows
`env\\Scripts\\python`) for `python`. For a machine without a network, fetch the packages on another one of its kind by
`python -m pip download -r requirements.txt -d wheels`. Then install with `--no-index --find-links wheels`.

`python check.py` scores the images of `golden.npz` again. It says whether this machine scores as the bundle did.

## What predict.py prints

One row of JSON for each image, in the order given; those of a folder and of the folders in it are sorted. Hidden files,
and files without an image's suffix, are left out of folders.

| field | what it is |
|---|---|
| `path` | the file |
| `score` | higher is more anomalous |
| `p_value` | how seldom a normal image scores this high: from {smallest_p} to 1 |
| `is_anomalous` | `score > threshold`; null where there is no threshold |
| `threshold` | for the false-alarm rate `--alpha`, 0.05 unless given; null below {smallest_p} |
| `terms` | the evidence that the score is made of, by name |
| `warning` | why `p_value` does not hold: the picture has not the size or shape that the model is for; else null |
| `remarks` | what of the file was not used, such as further pages: a list, mostly empty |
| `error` | why a file has no score (then the other fields are null); else null |

The exit code is 0, 1 if a file has no score, or 2 for wrong usage and where it could not go on.

## The model

`{file}` ({runtime}), in single precision. {batch} The calibration scores of
{num_calibration} normal images are inside.

| input | shape and type | what it is |
|---|---|---|
| `pixels` | ({n}, {channels}, {sides}) uint8 | {colours}, as `anomaly/data/reader.py` makes them |
| `alpha` | () float64 | the false-alarm rate, between 0 and 1: `numpy.array(0.05)` |{pose}

| output | shape and type | what it is |
|---|---|---|
| `score` | (n,) float64 | as above, without a unit |
| `p_value` | (n,) float64 | as above |
| `threshold` | () float64 | as above; NaN where there is none |
| `is_anomalous` | (n,) bool | as above; false where there is no threshold |
| `terms` | (n, {num_terms}) float64 | {terms} |
| `heatmap` | ({n}, {map_sides}) float32 | where it is abnormal: 0.25 is the peak of an ordinary normal image |

The pixels decide. Another program that runs the model must make them by this reader, or scores will differ.
`model.json` has its parameters. In Python, with this folder as the working directory:

```python
from pathlib import Path

from anomaly.data.reader import read
from model import load_about, load_model

about, model = load_about(), load_model()
picture = read(Path("IMAGE"), about.preprocess, name="IMAGE")  # an ImageError says why an image cannot be used
score, p_value, threshold, is_anomalous, terms, heatmap = model(picture.pixels[None], 0.05)
```

{note}
{region}
## What differs from `anomaly score`

- Scores agree to {tolerance:g} of their size. A verdict can differ where a score is that close to the threshold.
- `anomaly/` is the reader of `anomaly score`, file by file. It does without the package `simplejpeg` where that is
  missing. Then some damage is not noticed: wrong data in the middle of a JPEG whose end is right. Such a picture is
  scored as it is shown. A JPEG that ends early is refused all the same. `pip install simplejpeg` closes the gap.
- Images of more than 64 million pixels are refused. There is no `--max-pixels`.
- Masks that lie beside the images of a folder are scored, too: give the folder of the images.
"""

_REGION = """
The model has a region: what lies outside of it is never evidence. It is `preprocess.region` in `model.json`, a PNG in
base64 that is laid over the whole picture. The reader makes all pixels outside grey. `restore_map` of
`anomaly/data/preprocess.py` lays a heatmap over the picture, with 0 outside:
`restore_map(heatmap[0], about.preprocess, picture.height, picture.width)`.
"""

_POSE = """
| `pose` | (2, 3) float32 | how the picture lies: `pose_of` of `anomaly/data/pose.py`, by `reference.npy` |"""

_NOTES = {
    Runtime.ONNX: (
        "ONNX Runtime reports its use to Microsoft unless it is told not to. `model.py` tells it so. A program of\n"
        "your own must do the same: set variable `ORT_DISABLE_TELEMETRY` to 1 before it imports onnxruntime."
    ),
    Runtime.OPENVINO: (
        "`model.py` compiles the model with `INFERENCE_PRECISION_HINT` set to `f32`. A program of your own must do\n"
        "the same: some processors would compute in half of it, and score differently. Outputs of type float64 are\n"
        "computed in single precision, too."
    ),
}
"""What another program that runs the model must do, too."""


def readme_of(bundle: Bundle, runtime: Runtime, tolerance: float) -> str:
    """In plain words: what it is, how it is run, what goes in and comes out, what differs."""
    manifest, calibration = bundle.manifest, bundle.contents.calibration
    preprocess = manifest.recipe.preprocess
    return _TEXT.format(
        name=bundle.name,
        version=bundle.version,
        digest=bundle.digest,
        smallest_p=_fraction(calibration.smallest_p),
        file=runtime.file,
        runtime=runtime.library,
        num_calibration=calibration.num_calibration,
        channels=preprocess.channels,
        **_shapes(bundle),
        colours="grey" if preprocess.channels == 1 else "red, green, blue",
        num_terms=len(manifest.terms),
        terms=", ".join(manifest.terms),
        tolerance=tolerance,
        pose=_POSE if REFERENCE in bundle.contents.weights else "",
        note=_NOTES[runtime],
        region="" if preprocess.region is None else _REGION,
    )


def _fraction(share: float) -> str:
    """1/n, exactly, with its decimals, which may be rounded."""
    n = round(1 / share)
    return f"1/{n}, which is {share:g}" if float(f"{share:g}") == share else f"1/{n}, about {share:.3g}"


def _shapes(bundle: Bundle) -> dict[str, str]:
    """What is said of batches, sides of pixels and of heatmaps."""
    recipe = bundle.manifest.recipe
    if not recipe.has_generator:
        size = recipe.preprocess.size
        if recipe.preprocess.resize is not Resize.WHOLE:
            batch = f"It takes one picture at a time, of {size} × {size} pixels."
            return {
                "batch": batch,
                "n": "1",
                "sides": f"{size}, {size}",
                "map_sides": f"{size // PLACE}, {size // PLACE}",
            }
        batch = (
            f"It takes one picture at a time, of any height h and width w that are multiples of {recipe.stride}. A "
            "picture is computed as a whole, in about a third of a GB of memory for each megapixel: 12 megapixels take "
            "3 to 4 GB. `anomaly score` needs less for large pictures, because it computes them in strips."
        )
        return {"batch": batch, "n": "1", "sides": "h, w", "map_sides": f"h / {PLACE}, w / {PLACE}"}
    sides = f"{recipe.preprocess.size}, {recipe.preprocess.size}"
    return {"batch": "A batch has any number n of images.", "n": "n", "sides": sides, "map_sides": sides}
