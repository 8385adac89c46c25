"""Recipes as files: those that are shipped, by name, and a user's own."""

from pathlib import Path

import pytest

from anomaly.errors import UsageError
from anomaly.recipes import RecipeFile, read_recipe, recipe_names


def test_everyday_recipes_come_first_each_part_in_order() -> None:
    names = recipe_names()
    assert names[:10] == [
        "alad",
        "anogan",
        "autoencoder",
        "digits",
        "f-anogan",
        "few-images",
        "large-parts",
        "parts",
        "surfaces",
        "upright-objects",
    ]
    assert names[10:] == sorted(names[10:])
    assert len(set(names)) == len(names)
    assert {"dcgan", "mlp-gan", "lenet", "anogan-2017"} < set(names[10:])


def test_a_users_file_is_read_with_its_first_comment(tmp_path: Path) -> None:
    path = tmp_path / "screws.toml"
    path.write_text("# Screws.\n#   It costs much.\n\n[training]\nsteps = 7  # few\n# no head line\n")
    file = read_recipe(str(path))
    assert (file.name, file.about) == ("screws", ["Screws.", "It costs much."])
    assert file.sections == {"training": {"steps": 7}}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_of_a_windows_editor_or_shell_is_read(tmp_path: Path, encoding: str) -> None:
    """`anomaly recipes show NAME > mine.toml` in PowerShell writes UTF-16."""
    (tmp_path / "screws.toml").write_bytes("# Schräubchen.\r\n[training]\r\nsteps = 7\r\n".encode(encoding))
    file = read_recipe(str(tmp_path / "screws.toml"))
    assert (file.about, file.sections) == (["Schräubchen."], {"training": {"steps": 7}})


def test_a_file_without_a_comment_is_a_recipe_too(tmp_path: Path) -> None:
    (tmp_path / "plain.toml").write_text("[training]\nsteps = 7\n")
    assert read_recipe(str(tmp_path / "plain.toml")).about == []


def test_a_file_of_the_name_of_a_shipped_recipe_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("digits.toml").write_text("[training]\nsteps = 7\n")
    assert read_recipe("digits.toml").sections == {"training": {"steps": 7}}
    assert read_recipe("digits").sections["training"]["steps"] == 3000


@pytest.mark.parametrize("name", ["", "digit", "Digits", "lectures/dcgan", "../recipes/digits", "files.py"])
def test_an_unknown_name_says_which_there_are(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_recipe(name)
    message = str(caught.value)
    assert f"there is no recipe {name!r}; " in message
    assert all(known in message for known in recipe_names())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"steps: 7\n", "is not TOML"),
        (b"[training]\nsteps = 7\nsteps = 8\n", "is not TOML"),
        (b"[training]\nsteps = " + b"9" * 6000, "is not TOML"),
        (b"[training]\nsteps = " + b"[" * 6000, "is not TOML"),
        (b"\xff", "cannot be read .it is no text in UTF-8"),
        (b"\xff\xfe#", "cannot be read .it is no text in UTF-16"),  # half a character of UTF-16
        (None, "cannot be read"),
    ],
)
def test_a_file_that_is_none_is_named(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=said) as caught:
        read_recipe(str(path))
    assert str(path) in str(caught.value)


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        read_recipe(str(tmp_path / "folder.toml"))


def test_a_misspelt_name_is_recognised() -> None:
    with pytest.raises(UsageError, match=r"no recipe 'digts'; did you mean digits\? there are alad, "):
        read_recipe("digts")


def test_a_file_is_checked_as_it_is_read(tmp_path: Path) -> None:
    """Whoever reads it: `recipes show` too."""
    (tmp_path / "mine.toml").write_text("steps = 3\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"mine\.toml: there is no section 'steps'"):
        read_recipe(str(tmp_path / "mine.toml"))
    (tmp_path / "mine.toml").write_text("[[training]]\nsteps = 3\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"mine\.toml: training is one section"):
        read_recipe(str(tmp_path / "mine.toml"))


def test_the_first_sentence_is_whole() -> None:
    about = "Small pictures of objects that stand one way up: animals, vehicles, letters, scans."
    assert read_recipe("upright-objects").first_sentence == about
    about = (
        "Small pictures of up to 64 pixels a side, to learn from: a GAN with the minimax loss, in which G minimises "
        "E log(1 − D(G(z))) (Goodfellow 2014, eq. 1)."
    )
    assert read_recipe("minimax").first_sentence == about


@pytest.mark.parametrize(
    ("about", "sentence"),
    [
        (
            ["Made for eq. 1, as of p. 3 ff. of the book.", "It costs little."],
            "Made for eq. 1, as of p. 3 ff. of the book.",
        ),
        (["Pieces, e.g. small", "ones. Épreuves too."], "Pieces, e.g. small ones."),
        (["Screws.", "", "They cost little."], "Screws."),
        (["Sides of 0.5 m. 8 of them"], "Sides of 0.5 m. 8 of them."),
        (["No end"], "No end."),
        (["One."], "One."),
    ],
)
def test_a_sentence_ends_where_a_capital_letter_or_nothing_follows(about: list[str], sentence: str) -> None:
    assert RecipeFile("mine", about, {}).first_sentence == sentence


@pytest.mark.parametrize("name", recipe_names())
def test_the_first_sentence_closes_what_it_opens(name: str) -> None:
    sentence = read_recipe(name).first_sentence
    assert sentence[0].isupper() or name == "f-anogan"
    assert [sentence.count(each) for each in "(["] == [sentence.count(each) for each in ")]"]
    assert sentence.count("`") % 2 == 0
