"""Settings: typed, read from the environment by one table, checked at the start, printable without secrets."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from ssl import PROTOCOL_TLS_CLIENT, SSLContext, SSLError
from typing import Any
from urllib.parse import urlsplit

from infra.redaction import Secret


class SettingsError(Exception):
    """The environment does not make sense; `problems` has one line for each thing that is wrong."""

    def __init__(self, problems: Collection[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("the settings do not make sense:\n" + "\n".join(f"- {problem}" for problem in self.problems))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that the environment decides. Made by `from_env`, never changed."""

    netbox_url: str  # without a slash at the end, and without /api
    netbox_token: Secret | None  # either this …
    netbox_token_secret: str | None  # … or its name in the secret store (better outside `secret_prefix`)
    netbox_ca_file: Path | None  # trusted in place of the usual authorities
    secrets: str | None  # the path of a directory, or gcp:<project>
    secret_prefix: str  # fabrics may name no other secrets
    deadline_s: float  # for one invocation, seconds
    reserve_s: float  # of which kept for reporting the outcome, seconds
    project: str | None
    topic_requests: str
    topic_outcomes: str
    broker_url: str | None  # the embedded broker, in place of Pub/Sub
    pubsub_emulator_host: str | None  # read by the Pub/Sub library itself; here to be shown
    allow_http: bool
    batch: int  # objects in one bulk request, at most
    log_level: str
    log_format: str

    @classmethod
    def from_env(cls, environ: Mapping[str, str], *, needs: Collection[str] = ()) -> Settings:
        """The settings of this environment (usually `os.environ`).

        `needs` names fields that the caller cannot do without, beyond NETBOX_URL and a token (`project|broker_url`:
        one of the two). Raises one `SettingsError` with all problems, each naming the variable and what to do; it
        never quotes a secret.
        """
        given = {name: text.strip() for name, text in environ.items() if text.strip()}
        problems = [*_strangers(given), *_unmet(needs, given)]
        values: dict[str, Any] = {}
        for variable in VARIABLES:
            text = given.get(variable.name, variable.default)
            values[variable.field] = None
            if text is None:
                if variable.required:
                    problems.append(f"{variable.name} is not set: {variable.advice}")
                continue
            try:
                values[variable.field] = variable.parse(text)
            except _Unfit as unfit:
                shown = "" if variable.secret else f" ({text[:80]!r})"
                problems.append(f"{variable.name}{shown} {unfit}: {variable.advice}")
        problems += [problem for rule in _RULES for problem in rule(values, given)]
        if problems:
            raise SettingsError(problems)
        return cls(**values)

    def as_dict(self) -> dict[str, str | int | float | bool | None]:
        """The settings by variable name, fit to be shown or logged: secrets are masked."""
        shown: dict[str, str | int | float | bool | None] = {}
        for variable in VARIABLES:
            value = getattr(self, variable.field)
            shown[variable.name] = value if isinstance(value, str | int | float | None) else str(value)
        return shown

    def __str__(self) -> str:
        return "\n".join(f"{name}={'' if value is None else value}" for name, value in self.as_dict().items())


class _Unfit(ValueError):
    """A text does not fit its variable; the message goes on where the variable's name stopped."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable: the field it fills, how its text is read, and what to tell who got it wrong."""

    name: str
    field: str
    parse: Callable[[str], object]
    advice: str
    default: str | None = None
    required: bool = False
    secret: bool = False


def netbox_token(text: str) -> Secret:
    """A NetBox API token, of either kind: v1 (40 hex digits) or v2 (`nbt_<key>.<token>`, NetBox 4.5 and later).

    Raises `ValueError` that does not quote it.
    """
    if not re.fullmatch(r"[0-9a-fA-F]{40}|nbt_[A-Za-z0-9]{4,64}\.[A-Za-z0-9]{20,128}", text):
        raise _Unfit("is not a NetBox token")
    return Secret(text)


def _matching(pattern: str, what: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise _Unfit(f"is not {what}")
        return text

    return parse


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        for choice in choices:
            if choice.lower() == text.lower():
                return choice
        raise _Unfit("is not a choice")

    return parse


def _number[N: (int, float)](kind: type[N], low: N, high: N) -> Callable[[str], N]:
    def parse(text: str) -> N:
        try:
            value = kind(text)
        except ValueError:
            raise _Unfit("is not a number") from None
        if not low <= value <= high:  # also false for nan
            raise _Unfit(f"is not between {low} and {high}")
        return value

    return parse


def _switch(text: str) -> bool:
    if text not in ("0", "1"):
        raise _Unfit("is neither 0 nor 1")
    return text == "1"


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        host = parts.hostname
        _ = parts.port  # raises when it is not a number in range
    except ValueError:
        raise _Unfit("is not a URL") from None
    if parts.scheme not in ("http", "https") or not host or re.search(r"[\s\\]", text):
        raise _Unfit("is not an http or https URL")
    if parts.username is not None or parts.password is not None:
        raise _Unfit("carries a user name or password")
    if parts.query or parts.fragment:
        raise _Unfit("carries a query or a fragment")
    return text.rstrip("/")


def _netbox_url(text: str) -> str:
    url = _url(text)
    if url.endswith("/api"):
        raise _Unfit("ends in /api, which is added by itself")
    return url


def _ca_file(text: str) -> Path:
    try:
        SSLContext(PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=text)
    except SSLError:
        raise _Unfit("holds no PEM certificate") from None
    except OSError as error:
        raise _Unfit(f"cannot be read ({error.strerror})") from None
    return Path(text)


def _secrets_place(text: str) -> str:
    if text.startswith("gcp:"):
        _PROJECT(text.removeprefix("gcp:"))
    elif not Path(text).is_dir():
        raise _Unfit("is not a directory")
    return text


_PROJECT = _matching(r"[a-z][a-z0-9:.-]{1,62}", "a project id")
_TOPIC = _matching(
    r"(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,254}|projects/[^/\s]+/topics/[^/\s]+", "a topic name or a full topic path"
)

VARIABLES: tuple[Variable, ...] = (
    Variable("NETBOX_URL", "netbox_url", _netbox_url, "give the address people open in a browser", required=True),
    Variable(
        "NETBOX_TOKEN",
        "netbox_token",
        netbox_token,
        "give an API token as NetBox showed it, v2 (nbt_<key>.<token>) or v1 (40 hex digits)",
        secret=True,
    ),
    Variable(
        "NETBOX_TOKEN_SECRET",
        "netbox_token_secret",
        _matching(r"[a-z0-9][a-z0-9-]{0,127}", "a secret name"),
        "name the secret that holds the token (lower-case letters, digits and hyphens)",
    ),
    Variable("NETBOX_CA_FILE", "netbox_ca_file", _ca_file, "give the path of a PEM file with the CA certificates"),
    Variable(
        "FABRIC_SYNC_SECRETS",
        "secrets",
        _secrets_place,
        "give the path of a directory with one file per secret, or gcp:<project>",
    ),
    Variable(
        "FABRIC_SYNC_SECRET_PREFIX",
        "secret_prefix",
        _matching(r"[a-z0-9][a-z0-9-]{0,63}", "a prefix of secret names"),
        "give what the names of the fabrics' secrets start with",
        default="fabric-",
    ),
    Variable(
        "FABRIC_SYNC_DEADLINE_S",
        "deadline_s",
        _number(float, 5.0, 540.0),
        "give the seconds that one invocation may take",
        default="30",
    ),
    Variable(
        "FABRIC_SYNC_RESERVE_S",
        "reserve_s",
        _number(float, 0.1, 270.0),
        "give the seconds of the deadline that are kept for reporting, less than half of it",
        default="3",
    ),
    Variable("FABRIC_SYNC_PROJECT", "project", _PROJECT, "give the id of the project that holds the topics"),
    Variable(
        "FABRIC_SYNC_TOPIC_REQUESTS",
        "topic_requests",
        _TOPIC,
        "give the topic that sync requests are published to",
        default="fabric-sync-requests",
    ),
    Variable(
        "FABRIC_SYNC_TOPIC_OUTCOMES",
        "topic_outcomes",
        _TOPIC,
        "give the topic that outcomes are published to",
        default="fabric-sync-outcomes",
    ),
    Variable("FABRIC_SYNC_BROKER_URL", "broker_url", _url, "give the address of the embedded broker"),
    Variable(
        "PUBSUB_EMULATOR_HOST",
        "pubsub_emulator_host",
        _matching(r"[^\s/@]+:\d{1,5}", "host:port"),
        "give host:port of the emulator",
    ),
    Variable("FABRIC_SYNC_ALLOW_HTTP", "allow_http", _switch, "give 1 to allow plain http, or 0", default="0"),
    Variable(
        "FABRIC_SYNC_BATCH",
        "batch",
        _number(int, 1, 1000),
        "give the most objects to put into one bulk request",
        default="100",
    ),
    Variable(
        "FABRIC_SYNC_LOG_LEVEL",
        "log_level",
        _one_of("DEBUG", "INFO", "WARNING", "ERROR"),
        "choose DEBUG, INFO, WARNING or ERROR",
        default="INFO",
    ),
    Variable(
        "FABRIC_SYNC_LOG_FORMAT",
        "log_format",
        _one_of("json", "text"),
        "choose json (for machines) or text (for a terminal)",
        default="json",
    ),
)
"""Every variable that is read, in the order in which they are shown."""


def is_loopback(url: str) -> bool:
    """Whether a URL stays on this machine: `localhost` or a loopback address (RFC 6890)."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _one_token(values: Mapping[str, Any], given: Mapping[str, str]) -> Iterator[str]:
    names = [name for name in ("NETBOX_TOKEN", "NETBOX_TOKEN_SECRET") if name in given]
    if not names:
        yield "NETBOX_TOKEN is not set: give the token, or name the secret that holds it in NETBOX_TOKEN_SECRET"
    if len(names) == 2:
        yield "NETBOX_TOKEN and NETBOX_TOKEN_SECRET are both set: keep one of them"
    if "NETBOX_TOKEN_SECRET" in given and "FABRIC_SYNC_SECRETS" not in given:
        yield "NETBOX_TOKEN_SECRET is set, but FABRIC_SYNC_SECRETS is not: say where secrets are kept"


def _encrypted(values: Mapping[str, Any], given: Mapping[str, str]) -> Iterator[str]:
    for name, url in (("NETBOX_URL", values["netbox_url"]), ("FABRIC_SYNC_BROKER_URL", values["broker_url"])):
        if url and url.startswith("http:") and not is_loopback(url) and not values["allow_http"]:
            yield (
                f"{name} ({url!r}) would send credentials in the clear: use https, or set FABRIC_SYNC_ALLOW_HTTP=1 "
                "if the way there is protected by other means"
            )


def _time_for_work(values: Mapping[str, Any], given: Mapping[str, str]) -> Iterator[str]:
    deadline, reserve = values["deadline_s"], values["reserve_s"]
    if deadline is not None and reserve is not None and reserve >= deadline / 2:
        yield (
            f"FABRIC_SYNC_RESERVE_S ({reserve:g}) leaves too little of FABRIC_SYNC_DEADLINE_S ({deadline:g}) for the "
            "work: give less than half of it"
        )


def _emulated_project(values: Mapping[str, Any], given: Mapping[str, str]) -> Iterator[str]:
    if "PUBSUB_EMULATOR_HOST" in given and "FABRIC_SYNC_PROJECT" not in given:
        yield "PUBSUB_EMULATOR_HOST is set, but FABRIC_SYNC_PROJECT is not: give the project the emulator shall play"


_RULES = (_one_token, _encrypted, _time_for_work, _emulated_project)


def _unmet(needs: Collection[str], given: Mapping[str, str]) -> Iterator[str]:
    """What the caller needs and nobody set; `a|b` is met by either."""
    by_field = {variable.field: variable for variable in VARIABLES}
    for need in needs:
        choices = [by_field[field] for field in need.split("|")]
        if not any(variable.name in given or variable.default for variable in choices):
            advice = ", or ".join(f"{variable.name}: {variable.advice}" for variable in choices)
            yield f"not set, and needed here: {advice}"


def _strangers(given: Mapping[str, str]) -> Iterator[str]:
    """Names that look like ours and are not: a misspelt setting would be ignored in silence."""
    for name in _NO_SWITCH & given.keys():
        yield f"{name} is not a setting: verification cannot be turned off; name the CA in NETBOX_CA_FILE"
    known = {variable.name.removeprefix("FABRIC_SYNC_"): variable.name for variable in VARIABLES}
    for name in given:
        ours = name.removeprefix("FABRIC_SYNC_")
        if ours == name or ours in known:
            continue
        if near := difflib.get_close_matches(ours, known, n=1, cutoff=0.8):
            yield f"{name} is not a setting: did you mean {known[near[0]]}?"


_NO_SWITCH = frozenset(
    {"NETBOX_VERIFY", "NETBOX_VERIFY_SSL", "NETBOX_SSL_VERIFY", "NETBOX_VERIFY_TLS", "NETBOX_INSECURE"}
)
