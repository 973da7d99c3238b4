"""Settings: typed, read from the environment by one table, checked at the start, printable without secrets."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.deadline import Deadline
from infra.redaction import Secret, redact
from infra.variables import VARIABLES, Unfit, is_loopback


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
    tick_s: int  # between two messages of the scheduler, seconds
    notify_url: str | None  # told of failures and recoveries
    notify_key: Secret | None  # by which that is signed
    notify_email: str | None  # who is told as well, between commas
    smtp_url: str | None  # the mail server for that
    smtp_password: Secret | None  # of the user that the URL names
    project: str | None
    topic_requests: str
    topic_outcomes: str
    broker_url: str | None  # the embedded broker, in place of Pub/Sub
    pubsub_emulator_host: str | None  # read by the Pub/Sub library itself; here to be shown
    allow_http: bool
    batch: int  # objects in one bulk request, at most
    memory_mib: int  # of one run, beyond what its process starts with
    parallel: int  # requests of one run that are on their way to NetBox at once, at most
    manual_token: Secret | None  # shown to `manual` by people and programs
    manual_audience: str | None  # what Google's ID tokens must be made for
    manual_users: str | None  # who may come with one, between commas
    manual_open: bool  # everybody on this machine is let in
    hook_key: Secret | None  # the secret of NetBox's webhook
    page_url: str | None  # where people open the page, for links in NetBox
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
            except Unfit as unfit:
                # a password in a URL, or a token in the wrong variable, must not come back in an error
                shown = "" if variable.secret or "@" in text else f" ({redact(text)[:80]!r})"
                problems.append(f"{variable.name}{shown} {unfit}: {variable.advice}")
        problems += [problem for rule in _RULES for problem in rule(values, given)]
        if problems:
            raise SettingsError(problems)
        return cls(**values)

    def deadline(self) -> Deadline:
        """The deadline of a request that comes in now."""
        return Deadline.after(self.deadline_s, reserve=self.reserve_s)

    def as_dict(self) -> dict[str, str | int | float | bool | None]:
        """The settings by variable name, fit to be shown or logged: secrets are masked."""
        shown: dict[str, str | int | float | bool | None] = {}
        for variable in VARIABLES:
            value = getattr(self, variable.field)
            shown[variable.name] = value if isinstance(value, str | int | float | None) else str(value)
        return shown

    def __str__(self) -> str:
        return "\n".join(f"{name}={'' if value is None else value}" for name, value in self.as_dict().items())


def _one_token(values: Mapping[str, Any], given: Mapping[str, str]) -> Iterator[str]:
    names = [name for name in ("NETBOX_TOKEN", "NETBOX_TOKEN_SECRET") if name in given]
    if not names:
        yield "NETBOX_TOKEN is not set: give the token, or name the secret that holds it in NETBOX_TOKEN_SECRET"
    if len(names) == 2:
        yield "NETBOX_TOKEN and NETBOX_TOKEN_SECRET are both set: keep one of them"
    if "NETBOX_TOKEN_SECRET" in given and "FABRIC_SYNC_SECRETS" not in given:
        yield "NETBOX_TOKEN_SECRET is set, but FABRIC_SYNC_SECRETS is not: say where secrets are kept"


def _encrypted(values: Mapping[str, Any], given: Mapping[str, str]) -> Iterator[str]:
    for name, url in (
        ("NETBOX_URL", values["netbox_url"]),
        ("FABRIC_SYNC_BROKER_URL", values["broker_url"]),
        ("FABRIC_SYNC_NOTIFY_URL", values["notify_url"]),
    ):
        if url and url.startswith("http:") and not is_loopback(url) and not values["allow_http"]:
            yield (
                f"{name} ({url!r}) would send credentials in the clear: use https, or set FABRIC_SYNC_ALLOW_HTTP=1 "
                "if the way there is protected by other means"
            )


def _signed(values: Mapping[str, Any], given: Mapping[str, str]) -> Iterator[str]:
    if "FABRIC_SYNC_NOTIFY_URL" in given and "FABRIC_SYNC_NOTIFY_KEY" not in given:
        yield "FABRIC_SYNC_NOTIFY_URL is set, but FABRIC_SYNC_NOTIFY_KEY is not: whoever is told must know by whom"


def _mailed(values: Mapping[str, Any], given: Mapping[str, str]) -> Iterator[str]:
    if ("FABRIC_SYNC_NOTIFY_EMAIL" in given) != ("FABRIC_SYNC_SMTP_URL" in given):
        yield "FABRIC_SYNC_NOTIFY_EMAIL and FABRIC_SYNC_SMTP_URL go together: say who is told, and by which mail server"
    named = bool(values["smtp_url"] and urlsplit(values["smtp_url"]).username)
    if values["smtp_url"] and named != ("FABRIC_SYNC_SMTP_PASSWORD" in given):
        yield "FABRIC_SYNC_SMTP_PASSWORD goes with a user in FABRIC_SYNC_SMTP_URL (smtp://user@host): give both or none"


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


def _known_users(values: Mapping[str, Any], given: Mapping[str, str]) -> Iterator[str]:
    # Anybody with a Google account can have an ID token made for any audience.
    if "FABRIC_SYNC_MANUAL_AUDIENCE" in given and "FABRIC_SYNC_MANUAL_USERS" not in given:
        yield "FABRIC_SYNC_MANUAL_AUDIENCE is set, but FABRIC_SYNC_MANUAL_USERS is not: say whose ID tokens are taken"


_RULES = (_known_users, _one_token, _encrypted, _signed, _mailed, _time_for_work, _emulated_project)


def _unmet(needs: Collection[str], given: Mapping[str, str]) -> Iterator[str]:
    """What the caller needs and nobody set; `a|b` is met by either."""
    by_field = {variable.field: variable for variable in VARIABLES}
    for need in needs:
        choices = [by_field[field] for field in need.split("|")]
        if not any(variable.name in given or variable.default for variable in choices):
            names = " or ".join(variable.name for variable in choices)
            yield f"{names} is not set, and needed here: {', or '.join(variable.advice for variable in choices)}"


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
