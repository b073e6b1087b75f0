"""Every setting of the service: defaults that work, a TOML file, `STILLFRAME_*` variables, options of the command.

    loaded = load_settings(port=9000)
    loaded.settings.data_dir, loaded.origins["port"]

What comes later in that list wins. A key that is not known is an error, wherever it stands.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from stillframe.errors import SettingsError, os_reason
from stillframe.media.config import MAX_SHEET_PIXELS, MAX_SHEET_SIDE_PX, MAX_SHOTS

PREFIX = "STILLFRAME_"
CONFIG_VARIABLE = "STILLFRAME_CONFIG"
FILE_NAME = "stillframe.toml"
#: a region's name, as a pattern
REGION = r"[a-z][a-z0-9-]{1,30}[a-z0-9]"
#: variables of ours that are no settings of the server: where its settings are, and what `job` commands need
OTHER_VARIABLES = frozenset(
    {
        CONFIG_VARIABLE,
        "STILLFRAME_ENDPOINT",
        "STILLFRAME_PROFILE",
        "STILLFRAME_ACCESS_KEY_ID",
        "STILLFRAME_ACCESS_KEY_SECRET",
        "STILLFRAME_SECURITY_TOKEN",
    }
)

Network = IPv4Network | IPv6Network
_Pause = Annotated[float, Field(gt=0, le=30 * 86_400)]


def _networks(value: Any) -> Any:
    """A list, or one text with commas, of addresses and networks."""
    parts = _listed(value)
    if not isinstance(parts, list | tuple):
        raise ValueError("must be a list of addresses or networks")
    return tuple(ip_network(part.strip()) if isinstance(part, str) else part for part in parts if part != "")


def _listed(value: Any) -> Any:
    """One text with commas as the list that it means."""
    return [part for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _database_address(value: SecretStr) -> SecretStr:
    scheme = value.get_secret_value().partition("://")[0]
    if scheme not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise ValueError("must begin with postgresql://")
    return value


def _public_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address such as https://snapshots.example.com")
    if parts.query or parts.fragment or parts.username or parts.password:
        raise ValueError("must have no user, query or fragment")
    return value.rstrip("/")


def _none_or_an_hour(days: float) -> float:
    """Who lives says so every ten seconds: what is removed must be old enough for that."""
    if 0 < days < 1 / 24:
        raise ValueError("must be 0, or at least an hour: 0.042")
    return days


def _cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Settings(BaseModel):
    """What an operator can set. Names end in their unit where one could be mistaken."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True)

    data_dir: Path = Field(
        Path("stillframe-data"),
        description="The folder for everything that the server keeps: database, keys, local buckets. Relative to "
        "the folder that the server is started in.",
    )
    host: str = Field("127.0.0.1", min_length=1, description="The address that the API listens on.")
    port: int = Field(
        8080, ge=0, le=65535, description="The port that the API listens on; 0 takes a free one."
    )
    public_url: Annotated[str, AfterValidator(_public_address)] | None = Field(
        None,
        description="How clients reach the server, as it stands in signed URLs; without it they are made of host "
        "and port.",
    )
    database_url: Annotated[SecretStr, AfterValidator(_database_address)] | None = Field(
        None,
        description="A PostgreSQL server of your own: postgresql://user:password@host/name, or @one,other:5433/name of "
        "which one takes writes. Without it a private one runs inside the data folder.",
    )
    keyring_file: Path | None = Field(
        None,
        description="The file with the keys that secrets are encrypted with; by default `keyring` in the data folder. "
        "Servers and workers that share a database need the same one. A file that is named here is never made.",
    )
    region: str = Field(
        "cn-shanghai",
        pattern=f"^{REGION}$",
        description="The region of buckets that are added without one; it must equal the region in an object's URL.",
    )
    sandbox: Literal["required", "off"] = Field(
        "required",
        description="Whether videos are decoded in a locked-in child; `required` refuses to decode where that is "
        "impossible.",
    )
    console: Literal["on", "off"] = Field(
        "on", description="Whether the server has the console at /console, where people log in."
    )
    console_session_hours: float = Field(
        168.0, gt=0, le=8760, description="How long somebody stays logged in to the console at the most."
    )
    console_idle_hours: float = Field(
        24.0,
        gt=0,
        le=8760,
        description="After so long without a request somebody is logged out of the console.",
    )
    slots: int = Field(
        default_factory=_cores,
        ge=1,
        le=1024,
        description="How many slices are worked on at the same time; by default one for each processor.",
    )
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(_networks)] = Field(
        (),
        description="Addresses or networks of proxies whose X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host "
        "are believed; a list, or one text with commas.",
    )
    callback_allow_networks: Annotated[tuple[Network, ...], BeforeValidator(_networks)] = Field(
        (),
        description="Addresses or networks that events may be sent to although the public cannot reach them: "
        "private, loopback and link-local ones are refused otherwise; a list, or one text with commas.",
    )
    callback_retry_seconds: Annotated[tuple[_Pause, ...], BeforeValidator(_listed)] = Field(
        (),
        description="Pauses before further tries to deliver an event, after the three that IMS makes: such as "
        "`60, 600, 3600, 21600`; a list, or one text with commas.",
    )
    log_format: Literal["console", "json"] = Field(
        "console", description="Log lines for people, or one JSON object on each line."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least important messages that are logged."
    )
    url_expiry_max_seconds: int = Field(
        129_600,
        ge=3600,
        le=129_600,
        description="The longest validity of a signed URL that a caller may ask for; it is 3600 for those who do not "
        "ask.",
    )
    requests_per_second: float = Field(
        1000.0,
        gt=0,
        le=1_000_000,
        description="How many requests a second an account may send of each action, to each server; more are told "
        "when to come again (Throttling.User).",
    )
    max_body_bytes: int = Field(
        4 << 20,
        ge=1 << 10,
        le=100 << 20,
        description="The largest body of a request.",
    )
    max_queued_jobs: int = Field(
        10_000,
        ge=1,
        le=1_000_000,
        description="The most jobs of one pipeline that are not done; a submit or a retry above that is refused.",
    )
    max_shots: int = Field(MAX_SHOTS, ge=1, le=MAX_SHOTS, description="The most shots of one job.")
    max_sheet_side_px: int = Field(
        MAX_SHEET_SIDE_PX,
        ge=8,
        le=MAX_SHEET_SIDE_PX,
        description="The longest side of a sprite sheet; larger ones become more sheets.",
    )
    max_sheet_pixels: int = Field(
        MAX_SHEET_PIXELS,
        ge=64,
        le=MAX_SHEET_PIXELS,
        description="The largest area of a sprite sheet; larger ones become more sheets.",
    )
    max_read_bytes: int | None = Field(
        None,
        ge=1,
        description="The most bytes that a job may read of its video, whatever its MaxReadBytes says; without it, as "
        "many as it needs. It bounds probe jobs and the look at media assets, too.",
    )
    range_requests: int = Field(
        16,
        ge=1,
        le=256,
        description="How many ranges of videos in stores are asked for at the same time, by all slices of a server.",
    )
    range_piece_bytes: int = Field(
        1 << 20,
        ge=64 << 10,
        le=8 << 20,
        description="About how much of a video one request asks for where a shot needs more than that.",
    )
    range_gap_bytes: int = Field(
        64 << 10,
        ge=0,
        le=4 << 20,
        description="Bytes between two wanted ranges up to which they are one request: more costs bytes and saves "
        "requests, which some stores charge for.",
    )
    job_retention_days: float = Field(
        90.0,
        ge=0,
        le=36_500,
        description="How long jobs that have ended are kept, with their reports and lists of files; 0 keeps them for "
        "ever. Their files stay in any case, and a job whose pictures are those of a media asset stays as long as "
        "that.",
    )
    history_retention_days: Annotated[float, AfterValidator(_none_or_an_hour)] = Field(
        1.0,
        ge=0,
        le=36_500,
        description="How long servers and workers that are lost are remembered, and what is left of the queue's past, "
        "an hour (0.042) at the least; 0 remembers it for ever.",
    )
    event_retention_days: float = Field(
        7.0,
        ge=0,
        le=36_500,
        description="How long events that were delivered or given up are kept, to be looked at and sent again in the "
        "console; 0 keeps them for ever.",
    )
    slice_attempts: int = Field(
        8,
        ge=1,
        le=20,
        description="How often a slice is tried before its job fails, when what is wrong may pass, such as a full "
        "disk; the pauses in between grow from one second to a minute.",
    )
    sync_probe_seconds: float = Field(
        8.0,
        ge=1,
        le=50,
        description="How long SubmitSyncMediaInfoJob may take, half of it waiting for its turn; official SDKs hang up "
        "after 10.",
    )
    sync_probe_waiting: int = Field(
        4,
        ge=0,
        le=8,
        description="How many calls of SubmitSyncMediaInfoJob may wait for their turn, of one account half of them; "
        "more are told when to come again (Throttling.User).",
    )
    watchdog_seconds: float = Field(
        60.0,
        ge=1,
        le=3600,
        description="After this long without progress a decoding child is killed.",
    )
    request_seconds: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="How long a client may take to send the head of a request, and then its body; and how long it may "
        "leave the answer unread (on Linux).",
    )
    drain_seconds: float = Field(
        20.0,
        ge=0,
        le=3600,
        description="How long what is in work may go on when the server is to end; then it is given back to the queue.",
    )


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings in force and where each comes from: `default`, the file's path, the variable, or the option."""

    settings: Settings
    origins: Mapping[str, str]
    file: Path | None

    def shown(self) -> dict[str, tuple[str, str]]:
        """Each setting as text with its origin, secrets masked: for `stillframe config show`."""
        values = {name: getattr(self.settings, name) for name in Settings.model_fields}
        return {name: (_as_text(value), self.origins[name]) for name, value in values.items()}


def load_settings(
    config_file: Path | None = None, environ: Mapping[str, str] | None = None, **options: Any
) -> LoadedSettings:
    """The settings in force. `options` are the command's own; those that are None were not given.

    The file is `config_file`, else what STILLFRAME_CONFIG names, else `stillframe.toml` in the data folder when
    there is one. Raises SettingsError that names the key, where it stands, and what is allowed.
    """
    environ = os.environ if environ is None else environ
    given = {name: value for name, value in options.items() if value is not None}
    from_environment = _from_environment(environ)
    path = _file(config_file, environ, Path(given.get("data_dir") or from_environment.get("data_dir") or ""))
    in_file = _from_file(path) if path else {}

    origins = dict.fromkeys(Settings.model_fields, "default")
    origins |= dict.fromkeys(in_file, str(path))
    origins |= {name: variable_of(name) for name in from_environment}
    origins |= {name: option_of(name) for name in given}
    try:
        settings = Settings(**{**in_file, **from_environment, **given})
    except ValidationError as error:
        raise _as_settings_error(error, origins) from None
    return LoadedSettings(settings, origins, path)


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def option_of(name: str) -> str:
    """The option of a command that sets it."""
    return "--" + name.replace("_", "-")


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Our variables by the name of the setting; an empty one counts as not set, as compose files write it."""
    found = {}
    for variable, value in environ.items():
        if not variable.upper().startswith(PREFIX) or variable in OTHER_VARIABLES:
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name not in Settings.model_fields or variable != variable_of(name):
            raise SettingsError(variable, "environment", f"is not a setting{_nearest(name, variable_of)}")
        if value != "":
            found[name] = value
    return found


def _file(config_file: Path | None, environ: Mapping[str, str], data_dir: Path) -> Path | None:
    named = config_file or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    if named is not None:
        return named
    path = (data_dir if data_dir != Path() else Settings.model_fields["data_dir"].default) / FILE_NAME
    return path if path.is_file() else None


def _from_file(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(path.name, str(path), os_reason(error)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        # the text around the mistake may be a password
        raise SettingsError(path.name, str(path), f"is not TOML: {str(error).splitlines()[0]}") from None
    for name in content:
        if name not in Settings.model_fields:
            raise SettingsError(name, str(path), f"is not a setting{_nearest(name)}")
    return content


def _as_settings_error(error: ValidationError, origins: Mapping[str, str]) -> SettingsError:
    first = error.errors(include_url=False, include_context=False)[0]
    name = str(first["loc"][0])
    value = first["input"]
    shown = "" if name in _SECRETS else f"is {value!r}: "
    return SettingsError(
        name, origins.get(name, "option"), shown + first["msg"].removeprefix("Value error, ")
    )


def _as_text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(part) for part in value)
    return "" if value is None else str(value)


def _nearest(name: str, written: Callable[[str], str] = str) -> str:
    """A hint for a slip of the pen, as it is written there."""
    found = get_close_matches(name, Settings.model_fields, n=1)
    return f"; did you mean {written(found[0])}?" if found else ""


_SECRETS = frozenset({"database_url"})
