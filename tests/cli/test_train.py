"""`anomaly train`: from every form of data to a bundle that scores, and on from where a run was stopped."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from anomaly.bundle import load
from anomaly.inference import load_detector
from tests.cli.calls import TINY, call, done, read_rows, refused, sets
from tests.digit_images import Pixels, digits, others, write_images


def zeros() -> Pixels:
    return digits("train", "0")[:40]


def write_idx(folder: Path, images: Pixels, labels: list[int]) -> None:
    folder.mkdir()
    header = struct.pack(">BBBBIII", 0, 0, 8, 3, *images.shape)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + images.tobytes(), mtime=0))
    (folder / "train-labels-idx1-ubyte").write_bytes(struct.pack(">BBBBI", 0, 0, 8, 1, len(labels)) + bytes(labels))


def write_manifest(folder: Path, images: Pixels) -> Path:
    paths = write_images(folder / "images", images)
    lines = [f"{path.relative_to(folder)},normal,train\n" for path in paths[:-1]]
    (folder / "all.csv").write_text("path,label,split\n" + "".join(lines) + f"images/{paths[-1].name},anomalous,test\n")
    return folder / "all.csv"


def check(models: Path, form: str, num_normals: int) -> None:
    """The bundle is sound, was made from so many images, and scores."""
    detector = load_detector(models, device="cpu")
    record = detector.bundle.manifest.data
    assert form == record.form
    assert num_normals == record.num_train + record.num_select + record.num_calibrate
    assert record.num_left_out == 0
    assert np.isfinite(detector.score(list(others()[:3])).score).all()


def test_digits(tmp_path: Path) -> None:
    result = done("train", "digits", "--normal", "0, 3", "--out", tmp_path / "m", *TINY)
    manifest = load(tmp_path / "m").manifest
    assert manifest.data.normal == ["0", "3"]
    assert manifest.num_steps == 10
    assert manifest.recipe.preprocess.size == 8
    assert f"wrote {tmp_path / 'm' / '1'} (version 1, digest " in result.stdout
    record = manifest.data
    sets = f"{record.num_train} to train, {record.num_select} to select, {record.num_calibrate} to calibrate"
    assert f"normal images: {sets}\n" in result.stdout
    assert "trained 10 of 10 steps at 8 × 8 pixels; it ended because all steps were done\n" in result.stdout
    assert "recipe digits; training at 8 × 8 pixels, 10 steps\n" in result.stderr


def test_a_folder(tmp_path: Path) -> None:
    write_images(tmp_path / "good", zeros())
    (tmp_path / "good" / "notes.txt").touch()
    done("train", tmp_path / "good", "--out", tmp_path / "m", *TINY)
    check(tmp_path / "m", "folder", 40)


def test_an_mvtec_tree(tmp_path: Path) -> None:
    write_images(tmp_path / "d" / "train" / "good", zeros())
    write_images(tmp_path / "d" / "test" / "good", zeros()[:5])
    write_images(tmp_path / "d" / "test" / "bad", others()[:5])
    done("train", tmp_path / "d", "--out", tmp_path / "m", *TINY)
    check(tmp_path / "m", "mvtec", 40)


def test_class_folders(tmp_path: Path) -> None:
    write_images(tmp_path / "d" / "zero", zeros())
    write_images(tmp_path / "d" / "other", others()[:5])
    done("train", tmp_path / "d", "--normal", "zero", "--out", tmp_path / "m", *TINY)
    check(tmp_path / "m", "classes", 32)  # every fifth normal is held out


def test_idx_files(tmp_path: Path) -> None:
    write_idx(tmp_path / "d", np.concatenate([zeros(), others()[:5]]), [0] * 40 + [7] * 5)
    done("train", tmp_path / "d", "--normal", "0", "--out", tmp_path / "m", *TINY)
    check(tmp_path / "m", "idx", 40)  # a training split alone: nothing of it is held out


def test_a_manifest(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, np.concatenate([zeros(), others()[:1]]))
    done("train", manifest, "--out", tmp_path / "m", *TINY)
    check(tmp_path / "m", "manifest", 40)


def test_anogan_in_colour_at_a_chosen_size(tmp_path: Path) -> None:
    fields = sets("preprocess.channels=3", "search.steps=3", "search.restarts=2")
    options = ("--recipe", "anogan", "--size", "16", *fields)
    write_images(tmp_path / "d", zeros())
    done("train", tmp_path / "d", "--out", tmp_path / "m", *TINY, *options)
    manifest = load(tmp_path / "m").manifest
    assert (manifest.recipe.training.method, manifest.recipe.preprocess.size, manifest.recipe.preprocess.channels) == (
        "anogan",
        16,
        3,
    )
    assert manifest.recipe.search is not None
    assert (manifest.recipe.search.steps, manifest.recipe.search.restarts) == (3, 2)
    check(tmp_path / "m", "folder", 40)


def test_anogan_searches_and_bigan_does_not_unless_told(tmp_path: Path) -> None:
    search = sets("search.steps=2", "search.start=encoder")
    done("train", "digits", "--normal", "0", "--out", tmp_path / "a", *TINY, *sets("training.method=anogan"), *search)
    done("train", "digits", "--normal", "0", "--out", tmp_path / "b", *TINY)
    done("train", "digits", "--normal", "0", "--out", tmp_path / "c", *TINY, *search)
    searches = [load(tmp_path / name).manifest.recipe.search for name in "abc"]
    assert [None if search is None else (search.steps, search.start) for search in searches] == [
        (2, "encoder"),
        None,
        (2, "encoder"),
    ]


def test_the_papers_score(tmp_path: Path) -> None:
    options = sets("score.combine=paper", "score.feature_weight=0.25")
    done("train", "digits", "--normal", "0", "--out", tmp_path / "m", *TINY, *options)
    scores = load_detector(tmp_path / "m", device="cpu").score(list(others()[:5]))
    expected = 0.75 * scores.terms["residual"] + 0.25 * scores.terms["feature_matching"]
    np.testing.assert_allclose(scores.score, expected)


def test_files_that_cannot_be_read_are_left_out_and_counted(tmp_path: Path) -> None:
    write_images(tmp_path / "d", zeros())
    (tmp_path / "d" / "text.png").write_text("no image")
    result = done("train", tmp_path / "d", "--out", tmp_path / "m", *TINY)
    assert load(tmp_path / "m").manifest.data.num_left_out == 1
    assert "1 file could not be read and was left out" in result.stderr


def test_a_second_run_is_a_second_version_with_the_same_weights(tmp_path: Path) -> None:
    for seed in ("0", "0", "1"):
        done("train", "digits", "--normal", "0", "--out", tmp_path / "m", *TINY, "--seed", seed)
    first, again, other = ((tmp_path / "m" / v / "weights.safetensors").read_bytes() for v in "123")
    assert first == again
    assert first != other


@pytest.mark.parametrize("method", ["bigan", "anogan"])
def test_a_stopped_run_goes_on_to_the_same_weights(tmp_path: Path, method: str) -> None:
    search = sets("search.steps=2") if method == "anogan" else ()
    command = ("train", "digits", "--normal", "0", *TINY, *sets(f"training.method={method}"), "--steps", "34", *search)
    done(*command, "--out", tmp_path / "whole")
    done(*command, "--out", tmp_path / "parts", "--max-minutes", "0")
    assert load(tmp_path / "parts").manifest.num_steps == 10
    done(*command, "--out", tmp_path / "parts", "--max-minutes", "0", "--resume")
    assert load(tmp_path / "parts").manifest.num_steps == 20
    done(*command, "--out", tmp_path / "parts", "--max-minutes", "9", "--resume")
    whole, parts = tmp_path / "whole" / "1", tmp_path / "parts" / "3"
    for name in ("weights.safetensors", "calibration.safetensors", "golden.safetensors", "history.csv"):
        assert (whole / name).read_bytes() == (parts / name).read_bytes()


def test_a_finished_run_can_be_given_more_steps(tmp_path: Path) -> None:
    command = ("train", "digits", "--normal", "0", *TINY)
    done(*command, "--steps", "30", "--out", tmp_path / "whole")
    done(*command, "--steps", "15", "--out", tmp_path / "parts")
    done(*command, "--steps", "30", "--out", tmp_path / "parts", "--resume")
    whole, parts = tmp_path / "whole" / "1", tmp_path / "parts" / "2"
    assert (whole / "weights.safetensors").read_bytes() == (parts / "weights.safetensors").read_bytes()


@pytest.mark.parametrize("field", ["score.precision", "training.precision"])
def test_a_precision_that_is_none_is_refused_by_name(tmp_path: Path, field: str) -> None:
    message = refused("train", "digits", "--normal", "0", "--out", tmp_path / "m", *TINY, *sets(f"{field}=fp8"))
    assert field in message
    assert "fp32" in message
    assert "bf16" in message
    assert message.endswith("got 'fp8'")


def test_a_finished_run_is_calibrated_anew_in_another_precision(tmp_path: Path) -> None:
    command = ("train", "digits", "--normal", "0", "--out", tmp_path / "m", *TINY)
    done(*command)
    done(*command, *sets("score.precision=bf16"), "--resume")
    plain, fast = load(tmp_path / "m" / "1"), load(tmp_path / "m" / "2")
    assert (plain.manifest.recipe.score.precision, fast.manifest.recipe.score.precision) == ("fp32", "bf16")
    assert (tmp_path / "m" / "1" / "weights.safetensors").read_bytes() == (
        tmp_path / "m" / "2" / "weights.safetensors"
    ).read_bytes()
    assert "| precision | bf16; in any batch a score is the same to 2.000%, or so much of 1 |" in fast.card
    detectors = [load_detector(bundle.ref.path, device="cpu") for bundle in (plain, fast)]
    scores = [detector.score(list(zeros()[:20])).score for detector in detectors]
    assert scores[0] != pytest.approx(scores[1], rel=1e-5)
    assert scores[0] == pytest.approx(scores[1], rel=0.3)


def test_the_pixels_are_not_kept(tmp_path: Path) -> None:
    done("train", "digits", "--normal", "0", "--out", tmp_path / "m", *TINY)
    refused("train", "digits", "--normal", "1", "--out", tmp_path / "m", *TINY, "--resume")
    assert [path.name for path in (tmp_path / "m" / ".training").glob("*/*")] == ["checkpoint.safetensors"]


def test_the_curves_are_kept(tmp_path: Path) -> None:
    done("train", "digits", "--normal", "0", "--out", tmp_path / "m", *TINY, "--steps", "25")
    rows = read_rows(tmp_path / "m" / "1" / "history.csv")
    assert [row["step"] for row in rows] == [str(step) for step in range(1, 26)]
    assert {
        "value",
        "accuracy",
        "diversity",
        "grad_d",
        "grad_g",
        "loss_d",
        "loss_g",
        "d_real",
        "d_fake",
        "cycle_x",
        "cycle_z",
    } < set(rows[0])


ZERO = ("digits", "--normal", "0")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["digits"], "say it with --normal"),
        (["digits", "--normal", "zero"], "has no class zero"),
        (["nowhere"], "nowhere: does not exist"),
        (["file"], "file: is a file"),
        (["empty"], "no images found"),
        (["few"], "expected at least 20"),
        (["broken"], "none of the 20 images can be used"),
        ([*ZERO, "--out", "file"], "cannot write a training's work files into file"),
        ([*ZERO, "--out", "file/m"], "cannot write a training's work files into file/m"),
        ([*ZERO, "--device", "warp"], "'warp'"),
        ([*ZERO, "--size", "33"], "64, 128, 256, or network.architecture=mlp, which takes any side"),
        ([*ZERO, "--max-minutes", "-1"], "--max-minutes, is the time for training in minutes, 0 or more; got -1"),
        ([*ZERO, "--size", "0"], "preprocess.size: Input should be greater than or equal to 2; got 0"),
        ([*ZERO, "--recipe", "lenet", "--size", "64"], "sees 32 × 32 pixels"),
        ([*ZERO, "--size", "32", *sets("network.architecture=lenet")], "judges images, not pairs"),
        (
            [*ZERO, *sets("network.architecture=mlp", "network.discriminator_batch_norm=true")],
            "batch norm in D is DCGAN's",
        ),
        (
            [*ZERO, "--size", "9", *sets("network.architecture=mlp", "auxiliary.synthetic_defects=true")],
            "choose a multiple of 8",
        ),
        ([*ZERO, *sets("training.adversarial=0", "training.method=alad")], "give training.adversarial above 0"),
        ([*ZERO, *sets("network.hidden=many")], "network.hidden: "),
        ([*ZERO, *sets('network.hidden=[4, "many"]')], "network.hidden.1: "),
        ([*ZERO, *sets("training.loss=wasserstein", "training.spectral_norm=false")], "needs a bound on its slope"),
        ([*ZERO, *sets("training.clip_weights=1", "training.gradient_penalty=1")], "choose one of them"),
        ([*ZERO, *sets("training.method=f-anogan", "training.loss=hinge")], "choose training.loss=wasserstein"),
        (
            [*ZERO, *sets("training.gradient_penalty=1", "network.discriminator_batch_norm=true")],
            "of each image alone",
        ),
        ([*ZERO, *sets("training.method=alad", "search.steps=9")], "leave the section search away"),
        ([*ZERO, *sets("training.method=autoencoder", "score.feature_layer=conv1")], "has no discriminator"),
        ([*ZERO, *sets("score.feature_layer=conv9")], "there are conv1, joint"),
        ([*ZERO, *sets("network.phi=true")], "so 8 does not fit; choose a side of at least 32"),
        ([*ZERO, "--size", "32", *sets("network.phi=true", "score.feature_layer=phi_2")], "phi_4, phi_8, phi_16"),
        ([*ZERO, "--init-decoder", "nowhere"], "nowhere"),
        (
            [*ZERO, *sets("training.method=anogan", "training.loss=hinge", "search.objective=cross-entropy")],
            "gives no probability",
        ),
        ([*ZERO, *sets("preprocess.channels=2")], "1 or 3; got 2"),
        ([*ZERO, *sets("preprocess.channels=0")], "1 or 3; got 0"),
        ([*ZERO, *sets("network.width=1")], "network.width: "),
        ([*ZERO, *sets("network.latent_dim=0")], "network.latent_dim: "),
        ([*ZERO, "--steps", "0"], "training.steps: "),
        ([*ZERO, "--seed", "-1"], "training.seed: "),
        ([*ZERO, *sets("training.learning_rate=0")], "training.learning_rate: "),
        ([*ZERO, *sets("score.combine=sum")], "score.combine: "),
        ([*ZERO, *sets("auxiliary.memory_bank=1024")], "set auxiliary.synthetic_defects=true too"),
        ([*ZERO, *sets("score.combine=auxiliary")], "set auxiliary.synthetic_defects=true or"),
        ([*ZERO, *sets("training.method=anogan", "score.precision=bf16")], "a latent search magnifies"),
        ([*ZERO, *sets("search.steps=-1")], "search.steps: "),
        (
            [*ZERO, *sets("training.method=anogan", "search.steps=0", "search.start=prior")],
            "search.start=prior has none",
        ),
        ([*ZERO, "--resume"], "nothing to resume"),
    ],
)
def test_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    write_images(tmp_path / "few", zeros()[:19])
    (tmp_path / "broken").mkdir()
    for number in range(20):
        (tmp_path / "broken" / f"{number}.png").write_text("no image")
    (tmp_path / "empty").mkdir()
    out = [] if "--out" in options else ["--out", "m"]
    message = refused("train", *TINY, *options, *out)
    assert said in message
    assert len(message.splitlines()) == 1
    assert not list(tmp_path.glob("m/[0-9]*"))


def test_the_recorded_command_makes_the_same_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "a model"
    done("train", "digits", "--normal", "0", "--out", out, *TINY)
    monkeypatch.setattr("sys.argv", ["/bin/anomaly", "train", "digits", "--out", "a model", "--resume"])
    done("train", "digits", "--normal", "0", "--out", out, *TINY, "--resume")
    assert load(out).manifest.command == "anomaly train digits --out 'a model'"


def test_a_run_with_other_options_is_not_resumed(tmp_path: Path) -> None:
    done("train", "digits", "--normal", "0", "--out", tmp_path / "m", *TINY)
    for other in (["--normal", "1"], ["--normal", "0", "--seed", "1"], ["--normal", "0", "--size", "16"]):
        message = refused("train", "digits", "--out", tmp_path / "m", *TINY, "--resume", *other)
        assert "belongs to another run" in message


def test_an_unknown_method_is_refused_by_name(tmp_path: Path) -> None:
    message = refused("train", *ZERO, "--out", tmp_path / "m", *sets("training.method=vae"))
    assert "training.method: " in message
    assert message.endswith("got 'vae'")


@pytest.mark.parametrize(
    ("stage", "more", "told"),
    [
        ("learn_by", (), "nothing of this training is kept"),
        ("with_graph", (), "the same command with --resume goes on from the last checkpoint"),
        ("learn_by", ("--resume",), "the same command with --resume goes on from the last checkpoint"),
    ],
)
def test_ctrl_c_says_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, more: tuple[str, ...], told: str
) -> None:
    """Before the first checkpoint, after the last one, and of a run that would go on but has not yet."""
    command = ("train", "digits", "--normal", "0", "--out", tmp_path / "m", *TINY)

    def interrupt(*args: object, **named: object) -> None:
        raise KeyboardInterrupt

    if more:
        done(*command)
    monkeypatch.setattr(f"anomaly.pipeline.train.{stage}", interrupt)
    result = call(*command, *more)
    assert result.exit_code == 130
    assert f"stopped; {told}" in result.stderr
