from pathlib import Path

import pytest
from pydantic import SecretStr

from anomaly.errors import UsageError
from service.settings import Settings, foreign_variables, place_of, read_settings


def test_given_wins_over_environment_and_environment_over_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANOMALY_PORT", "9000")
    monkeypatch.setenv("ANOMALY_MAX_BATCH", "7")
    monkeypatch.setenv("ANOMALY_DATA", "/not/a/setting")
    settings = read_settings(port=9001, host=None)
    assert (settings.port, settings.max_batch, settings.host) == (9001, 7, "127.0.0.1")


def test_allowed_hosts_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANOMALY_ALLOWED_HOSTS", "A.example, b.example,")
    assert read_settings().allowed_hosts == ("a.example", "b.example")
    assert Settings(allowed_hosts=("c",)).allowed_hosts == ("c",)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"port": 70000}, r"port \(or ANOMALY_PORT\)"),
        ({"alpha": 1.0}, "ANOMALY_ALPHA"),
        ({"threads": 0}, "ANOMALY_THREADS"),
        ({"threads": 100_000}, "ANOMALY_THREADS.*1024"),
        ({"history": "/"}, "^A history is a file or .*'/' is neither"),
        ({"colour": "red"}, "colour"),
        ({"engine": "tensorrt"}, r"^engine \(or ANOMALY_ENGINE\): Input should be 'auto', 'torch' or 'onnxruntime'$"),
        ({"max_files": 10, "max_queue": 5}, "^max_files 10 is more than max_queue 5"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_it(given: dict[str, object], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        read_settings(**given)


@pytest.mark.parametrize("name", Settings.model_fields)
@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_variable_is_refused_by_its_name(name: str, empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"ANOMALY_{name.upper()}", empty)
    with pytest.raises(UsageError, match=rf"^ANOMALY_{name.upper()} is empty: give it a value, or unset it"):
        read_settings()


def test_an_empty_variable_of_what_is_given_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANOMALY_PORT", "")
    assert read_settings(port=9001).port == 9001


@pytest.mark.parametrize(
    ("name", "meant"),
    [("ANOMALY_KEY", "ANOMALY_KEYS"), ("anomaly_key", "ANOMALY_KEYS"), ("ANOMALY_LOGLEVEL", "ANOMALY_LOG_LEVEL")],
)
def test_a_variable_that_is_nearly_called_as_a_setting_is_refused(
    name: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "keys.txt")
    with pytest.raises(UsageError, match=rf"^{name} is no setting: did you mean {meant}\?"):
        read_settings()


def test_other_variables_are_left_alone_as_kubernetes_sets_some(monkeypatch: pytest.MonkeyPatch) -> None:
    others = ("ANOMALY_PORT_8000_TCP_PORT", "ANOMALY_SERVICE_HOST", "ANOMALY_SERVICE_PORT", "ANOMALY_WATCH_SECRET")
    for name in others:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("ANOMALY_ALPHA", "0.1")
    monkeypatch.setenv("anomaly_max_files", "7")
    assert read_settings().max_files == 7
    assert dict.fromkeys(others).items() <= foreign_variables().items()
    assert not {"ANOMALY_ALPHA", "anomaly_max_files"} & foreign_variables().keys()


@pytest.mark.parametrize("place", ["", "/", ".", "./"])
def test_what_names_no_file_is_no_place_of_a_history(place: str) -> None:
    with pytest.raises(UsageError, match="Give the path of a file"):
        place_of(place)


def test_every_setting_is_documented() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_a_history_is_a_file_or_the_url_of_a_database_whose_password_is_not_shown() -> None:
    assert read_settings(history="history.sqlite").history == Path("history.sqlite")
    for url in ("postgresql://u:s3cret@h/d", "postgres://u:s3cret@h/d"):
        settings = read_settings(history=url)
        assert isinstance(settings.history, SecretStr)
        assert settings.history.get_secret_value() == url
        assert "s3cret" not in repr(settings)


@pytest.mark.parametrize(
    "place",
    [
        "postgresql+psycopg://u:s3cret@h/d",
        "Postgresql://u:s3cret@h/d",
        '"postgresql://u:s3cret@h/d"',
        " postgresql://u:s3cret@h/d",
        "postgres:/u:s3cret@h/d",
        "mysql://u:s3cret@h/d",
        "host=h user=u password=s3cret dbname=d",
    ],
)
def test_a_database_in_another_form_is_no_file_and_its_password_is_not_shown(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANOMALY_HISTORY", place)
    with pytest.raises(UsageError, match="postgresql://USER@HOST:PORT/DATABASE") as caught:
        read_settings()
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("place", ["history.sqlite", "/var/lib/a:b/h.sqlite", "C:/plant/h.sqlite", "a b/h=1.sqlite"])
def test_odd_names_of_files_are_files(place: str) -> None:
    assert place_of(place) == Path(place)
