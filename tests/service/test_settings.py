from pathlib import Path

import pytest
from pydantic import SecretStr

from anomaly.errors import UsageError
from service.settings import Settings, place_of, read_settings


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
