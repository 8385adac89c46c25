"""What an operator may choose. Each field is also an environment variable: `ANOMALY_` and its name in capitals."""

import ipaddress
import os
import re
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from anomaly.config.mistakes import Mistake, mistakes_of, shown
from anomaly.defaults import ALPHA, MAX_PIXELS
from anomaly.errors import UsageError
from anomaly.inference import EngineName
from anomaly.processors import num_processors
from anomaly.shares import AS_SHARE

ROOT_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")
NO_FILE = re.compile(r"\W*\w[\w+.-]+:/|.*\bpassword\s*=", re.IGNORECASE | re.DOTALL)
"""What is meant as a database, though not in the one form that is read. `C:/` is a drive of Windows."""
OWN_PATHS = (
    "admin", "docs", "healthz", "history", "history.csv", "metrics", "models", "openapi.json", "readyz", "score",
    "static", "static-offline-docs", "v2",
)  # fmt: skip
"""How the paths of the service begin: a prefix that did too could not be told from them."""
PREFIX = "ANOMALY_"
NEAR = 0.8
"""From how alike a variable's name is to a setting's on, by difflib's measure, it is taken for a misspelt one."""
SAMPLE = Path("docs/examples/zero.png")
"""The picture that the server suggests to try first, where it is there."""


class Settings(BaseSettings):
    """How the service runs; `read_settings` makes one with errors for people."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, use_attribute_docstrings=True)

    models: Path = Path("models")
    """The folder of bundles: models/<name>/<version>/."""
    default_model: str | None = None
    """The name used when a request gives none; may be left out where there is only one."""
    device: str = "auto"
    """Where the networks run: auto, cpu, cuda, mps."""
    engine: EngineName = EngineName.AUTO
    """What runs them: auto, torch, onnxruntime."""
    alpha: float = Field(default=ALPHA, gt=0.0, lt=1.0)
    """The false-alarm rate of verdicts when a request gives none."""

    host: str = "127.0.0.1"
    """The address to listen on; without `insecure`, loopback only."""
    port: int = Field(default=8000, ge=0, le=65535)
    """The port to listen on; 0 lets the system choose one."""
    insecure: bool = False
    """Listen on other addresses too without keys, although anyone who reaches them may score."""
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Names beside the loopback ones by which this server may be called, separated by commas; of each the port too, if
    browsers show one and a proxy does not pass it on."""
    root_path: str = ""
    """The path under which a proxy shows the service, such as /anomaly, be it passed on or stripped."""
    trusted_proxies: Annotated[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...], NoDecode] = ()
    """Addresses or networks of the proxies whose X-Forwarded-For, -Proto and -Host are believed, with commas."""
    tls_cert: Path | None = None
    """The certificate with which the server speaks HTTPS itself, a PEM file; without one, it speaks HTTP."""
    tls_key: Path | None = None
    """The certificate's private key, a PEM file without a password; without one, it is in the certificate's file."""

    keys: Path | None = None
    """The file of API keys, as `anomaly keys` makes it; without one, no key is asked for."""
    rate_limit: float = Field(default=100.0, gt=0.0, allow_inf_nan=False)
    """Requests a second that one key may make in the long run; beyond it they are refused with 429."""
    rate_burst: int = Field(default=200, ge=1)
    """Requests that one key may make at once."""

    history: Path | SecretStr | None = None
    """What keeps what is scored, and people's corrections: a SQLite file, or the URL of a PostgreSQL database; without
    it, nothing is kept."""
    history_thumbnails: bool = False
    """Keep a small picture of each image in the history too."""
    history_days: float | None = Field(default=None, gt=0.0, le=36_500.0)
    """Days after which rows of the history are deleted, corrected ones too; without it, age deletes none."""
    history_bytes: int = Field(default=2**30, ge=2**20)
    """The size of the history beyond which its oldest rows are deleted: of the file, or about that of all rows."""
    drift_rate: float = Field(default=0.01, gt=0.0, lt=1.0)
    """The probability that the drift alarm of a model may ever sound while nothing changes."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """What is written on standard error: info has one line for each request, warning only what needs somebody."""
    log_format: Literal["text", "json"] = "text"
    """Lines for people, or one JSON object in each line."""

    max_batch: int = Field(default=64, ge=1)
    """Images that go through the networks together."""
    max_wait_ms: float = Field(default=5.0, ge=0.0)
    """How long an image may wait for others to share its batch."""
    max_queue: int = Field(default=1024, ge=1)
    """Images accepted and not yet answered; beyond it requests are refused with 503."""
    max_queue_bytes: int = Field(default=512 * 2**20, ge=1)
    """Bytes of bodies and preprocessed pixels held at the same time; beyond it requests are refused with 503."""
    deadline_s: float = Field(default=30.0, gt=0.0)
    """Seconds from when a request has come to its answer; what would come later gets a 503 and is never run."""
    receive_timeout_s: float = Field(default=10.0, gt=0.0)
    """Seconds that a peer has to send a request's head, and after which its body or answer is judged by the rate."""
    receive_rate: int = Field(default=16 * 2**10, ge=1)
    """Bytes of a body that a peer must send a second, over each `receive_timeout_s`; a slower one gets 408. Of an
    answer it must take half as many, or it is cut off."""
    receive_limit_s: float = Field(default=120.0, gt=0.0)
    """Seconds that a peer has to send a whole request, however steadily it sends."""
    max_connections: int = Field(default=800, ge=1)
    """Open connections; beyond it new ones are answered with 503 and closed."""
    grace_s: float = Field(default=30.0, gt=0.0)
    """Seconds that accepted requests have to finish when the server is told to stop."""
    max_upload_bytes: int = Field(default=64 * 2**20, ge=1)
    """Bytes in one request's body."""
    max_pixels: int = Field(default=MAX_PIXELS, ge=1)
    """Pixels in one image, checked before it is decoded."""
    max_files: int = Field(default=256, ge=1)
    """Images in one batch request."""
    threads: int = Field(default_factory=num_processors, ge=1, le=1024)
    """Images decoded, or heatmaps drawn, at the same time."""

    @field_validator("history", mode="before")
    @classmethod
    def _place(cls, value: object) -> object:
        return place_of(value) if isinstance(value, str) else value

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        return _split(value) if isinstance(value, str) else value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        try:
            return [ipaddress.ip_network(each) for each in _split(value)] if isinstance(value, str) else value
        except ValueError as error:
            raise ValueError(f"{error}; give addresses or networks, such as 127.0.0.1,10.0.0.0/8") from None

    @field_validator("root_path")
    @classmethod
    def _a_path(cls, value: str) -> str:
        path = f"/{stripped}" if (stripped := value.strip("/")) else ""
        if not ROOT_PATH.fullmatch(path):
            raise ValueError(f"{value!r} is no path of letters, digits and - . _ ~ such as /anomaly")
        if path and path.split("/")[1] in OWN_PATHS:
            raise ValueError(f"{value!r} begins with one of the service's own paths, {', '.join(OWN_PATHS)}; change it")
        return path

    @model_validator(mode="after")
    def _a_key_has_a_certificate(self) -> Self:
        if self.tls_key and not self.tls_cert:
            raise ValueError("tls_key is given without tls_cert; give the certificate too (--tls-cert)")
        return self

    @model_validator(mode="after")
    def _a_full_request_fits(self) -> Self:
        if self.max_upload_bytes > self.max_queue_bytes:
            raise ValueError(
                f"max_upload_bytes {self.max_upload_bytes} is more than max_queue_bytes {self.max_queue_bytes}, so the "
                "largest request would never be accepted; lower the one or raise the other"
            )
        if self.max_files > self.max_queue:
            raise ValueError(
                f"max_files {self.max_files} is more than max_queue {self.max_queue}, so a full batch request would "
                "never be accepted; lower the one or raise the other"
            )
        return self


def read_settings(**given: Any) -> Settings:
    """Settings from what is given, else the environment, else the defaults; None counts as not given.

    An empty variable is a mistake: an empty ANOMALY_KEYS, say, must not mean that no keys are asked for. So is one that
    is nearly called as a setting, such as ANOMALY_KEY. Raises UsageError with one sentence for each mistake.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    variables = {variable_of(name) for name in Settings.model_fields.keys() - chosen}
    empty = sorted(name for name, value in os.environ.items() if name.upper() in variables and not value.strip())
    if empty:
        raise UsageError(
            "; ".join(f"{name} is empty: give it a value, or unset it to have the default" for name in empty)
        )
    if near := {name: meant for name, meant in foreign_variables().items() if meant}:
        raise UsageError(
            "; ".join(f"{name} is no setting: did you mean {meant}? Rename or unset it" for name, meant in near.items())
        )
    try:
        return Settings(**chosen)
    except ValidationError as error:
        raise UsageError("; ".join(map(_explain, mistakes_of(error)))) from None


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return f"{PREFIX}{name.upper()}"


def foreign_variables() -> dict[str, str | None]:
    """The variables that begin as settings do and are none, each with the setting that it is nearly called as."""
    settings = [variable_of(name) for name in Settings.model_fields]
    names = sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in settings)
    short = [setting.removeprefix(PREFIX) for setting in settings]
    near = {name: get_close_matches(name.upper().removeprefix(PREFIX), short, n=1, cutoff=NEAR) for name in names}
    return {name: f"{PREFIX}{meant[0]}" if meant else None for name, meant in near.items()}


def place_of(history: str) -> Path | SecretStr:
    """Where a history is kept: a file's path, or a database's URL, which may have a password.

    Raises UsageError for what names no file; what may have a password is not shown.
    """
    if re.match(r"postgres(ql)?://", history):
        return SecretStr(history)
    if NO_FILE.match(history):
        raise UsageError(
            "A history is a file, or a PostgreSQL database as postgresql://USER@HOST:PORT/DATABASE, which begins so, "
            "in small letters and without quotation marks. What was given is neither; it is not shown here, as it may "
            "have a password."
        )
    path = Path(history)
    if not path.name:
        raise UsageError(
            f"A history is a file or the URL of a database, postgresql://…; {history!r} is neither. Give the path of a "
            "file, such as history.sqlite."
        )
    return path


@lru_cache(maxsize=1024)  # asked for every request
def is_loopback(host: str) -> bool:
    """Whether only programs on this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _split(value: str) -> list[str]:
    return [each.strip().lower() for each in value.split(",") if each.strip()]


def _explain(mistake: Mistake) -> str:
    name, message, given = mistake
    if name in ("alpha", "drift_rate"):
        message = f"it is a share between 0 and 1: {AS_SHARE}; got {shown(given)}"
    return f"{name} (or {variable_of(name)}): {message}" if name else message
