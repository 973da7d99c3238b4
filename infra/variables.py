"""The environment variables: one table, with how each text is read and what to tell who got it wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from ssl import PROTOCOL_TLS_CLIENT, SSLContext, SSLError
from urllib.parse import unquote, urlsplit

from infra.redaction import Secret


class Unfit(ValueError):
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
        raise Unfit("is not a NetBox token")
    return Secret(text)


def _notify_key(text: str) -> Secret:
    if not 16 <= len(text) <= 200:
        raise Unfit("is not a key of 16 to 200 characters")
    return Secret(text)


def _matching(pattern: str, what: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise Unfit(f"is not {what}")
        return text

    return parse


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        for choice in choices:
            if choice.lower() == text.lower():
                return choice
        raise Unfit("is not a choice")

    return parse


def _number[N: (int, float)](kind: type[N], low: N, high: N) -> Callable[[str], N]:
    def parse(text: str) -> N:
        try:
            value = kind(text)
        except ValueError:
            raise Unfit("is not a number") from None
        if not low <= value <= high:  # also false for nan
            raise Unfit(f"is not between {low} and {high}")
        return value

    return parse


def _password(text: str) -> Secret:
    if not re.fullmatch(r"[\x20-\x7e]{1,200}", text):
        raise Unfit("is not a text of 1 to 200 printable characters")
    return Secret(text)


def _key(text: str) -> Secret:
    if not re.fullmatch(r"[\x21-\x7e]{24,200}", text):
        raise Unfit("is not a key of 24 to 200 printable characters without spaces")
    return Secret(text)


def _switch(text: str) -> bool:
    if text not in ("0", "1"):
        raise Unfit("is neither 0 nor 1")
    return text == "1"


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        host = parts.hostname
        _ = parts.port  # raises when it is not a number in range
    except ValueError:
        raise Unfit("is not a URL") from None
    if parts.scheme not in ("http", "https") or not host or re.search(r"[\s\\]", text):
        raise Unfit("is not an http or https URL")
    if parts.username is not None or parts.password is not None:
        raise Unfit("carries a user name or password")
    if parts.query or parts.fragment:
        raise Unfit("carries a query or a fragment")
    return text.rstrip("/")


def _smtp_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        whole = (parts.hostname or "") and parts.port != 0  # raises when it is not a number in range
    except ValueError:
        raise Unfit("is not a URL") from None
    if parts.scheme not in ("smtp", "smtps") or not whole or not re.fullmatch(r"[\x21-\x7e]+", unquote(text)):
        raise Unfit("is not an smtp or smtps URL")
    if parts.password is not None:
        raise Unfit("carries a password")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise Unfit("has more than a user, a host and a port")
    return text.rstrip("/")


def _netbox_url(text: str) -> str:
    url = _url(text)
    if url.endswith("/api"):
        raise Unfit("ends in /api, which is added by itself")
    return url


def _ca_file(text: str) -> Path:
    try:
        SSLContext(PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=text)
    except SSLError:
        raise Unfit("holds no PEM certificate") from None
    except OSError as error:
        raise Unfit(f"cannot be read ({error.strerror})") from None
    return Path(text)


def _secrets_place(text: str) -> str:
    if text.startswith("gcp:"):
        _PROJECT(text.removeprefix("gcp:"))
    elif not Path(text).is_dir():
        raise Unfit("is not a directory")
    return text


_PROJECT = _matching(r"[a-z][a-z0-9:.-]{1,62}", "a project id")
_TOPIC = _matching(
    r"(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,254}|projects/[^/\s]+/topics/[^/\s]+", "a topic name or a full topic path"
)


_ADDRESS = r"(?a:[\w%+'-]+(\.[\w%+'-]+)*@[\w-]+(\.[\w-]+)*)"


def is_loopback(url: str) -> bool:
    """Whether a URL stays on this machine: `localhost` or a loopback address (RFC 6890)."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


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
        _matching(r"(?![0-9a-f]{40}$)[a-z0-9][a-z0-9-]{0,127}", "the name of a secret"),
        "name the secret that holds the token (lower-case letters, digits and hyphens), not the token itself",
        secret=True,  # whoever puts the token here shall not see it again in an error
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
    Variable(
        "FABRIC_SYNC_TICK_S",
        "tick_s",
        _number(int, 10, 3600),
        "give the seconds between two messages of the scheduler",
        default="60",
    ),
    Variable("FABRIC_SYNC_NOTIFY_URL", "notify_url", _url, "give the address that is told of failures and recoveries"),
    Variable(
        "FABRIC_SYNC_NOTIFY_KEY",
        "notify_key",
        _notify_key,
        "give the key by which notifications are signed, 16 to 200 characters",
        secret=True,
    ),
    Variable(
        "FABRIC_SYNC_NOTIFY_EMAIL",
        "notify_email",
        _matching(rf"{_ADDRESS}(\s*,\s*{_ADDRESS})*", "a list of addresses"),
        "give the e-mail addresses that are told of failures and recoveries, between commas",
    ),
    Variable(
        "FABRIC_SYNC_SMTP_URL",
        "smtp_url",
        _smtp_url,
        "give smtp://user@host:port or smtps://user@host:port, and the password in FABRIC_SYNC_SMTP_PASSWORD",
    ),
    Variable(
        "FABRIC_SYNC_SMTP_PASSWORD",
        "smtp_password",
        _password,
        "give the password of the user at the mail server, at most 200 printable characters",
        secret=True,
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
        _number(int, 1, 200),
        "give the most objects to put into one bulk request",
        default="100",
    ),
    Variable(
        "FABRIC_SYNC_MEMORY_MIB",
        "memory_mib",
        _number(int, 64, 32768),
        "give the MiB that one run may take beyond what it starts with",
        default="512",
    ),
    Variable(
        "FABRIC_SYNC_PARALLEL",
        "parallel",
        _number(int, 1, 10),
        "give the most requests that may be in flight to NetBox: its workers; fabrics that are synced at the same "
        "time share them",
        default="4",
    ),
    Variable(
        "FABRIC_SYNC_MANUAL_TOKEN",
        "manual_token",
        _key,
        "give the token that people and programs show to the function `manual`, 24 to 200 characters",
        secret=True,
    ),
    Variable(
        "FABRIC_SYNC_MANUAL_AUDIENCE",
        "manual_audience",
        _url,
        "give the audience that Google's ID tokens must name, usually the address of the function `manual`",
    ),
    Variable(
        "FABRIC_SYNC_MANUAL_USERS",
        "manual_users",
        _matching(r"[^\s,@]*@[^\s,@]+(\s*,\s*[^\s,@]*@[^\s,@]+)*", "a list of addresses"),
        "give the e-mail addresses that may come with Google's ID tokens, or @domain for all of one, between commas",
    ),
    Variable(
        "FABRIC_SYNC_MANUAL_OPEN",
        "manual_open",
        _switch,
        "give 1 to let everybody on this machine in (a sandbox), or 0",
        default="0",
    ),
    Variable(
        "FABRIC_SYNC_HOOK_KEY",
        "hook_key",
        _key,
        "give the secret of NetBox's webhook, 24 to 200 characters",
        secret=True,
    ),
    Variable(
        "FABRIC_SYNC_PAGE_URL",
        "page_url",
        _url,
        "give the address at which people open the page of the function `manual`",
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
