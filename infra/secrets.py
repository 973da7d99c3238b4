"""Where secrets are kept: a directory of files on one machine, Secret Manager in the cloud; read by name only."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import quote

from infra.deadline import Deadline
from infra.redaction import Secret
from infra.settings import Settings
from infra.variables import is_loopback, netbox_token

if TYPE_CHECKING:
    import requests
    from google.auth.credentials import Credentials

__all__ = [
    "DirectorySecrets",
    "GoogleSecrets",
    "Secret",
    "SecretError",
    "SecretProblem",
    "SecretStore",
    "open_secrets",
    "read_netbox_token",
]

SIZE_LIMIT: Final = 256 * 1024
"""Bytes of one secret (Secret Manager itself takes 64 KiB)."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,127}")
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class SecretProblem(StrEnum):
    """Why a secret could not be read."""

    MISSING = "missing"  # the store has no such secret, or no version of it
    FORBIDDEN = "forbidden"  # the name is not ours to ask for, or the store refuses us
    INVALID = "invalid"  # there is something, and it is no usable text
    UNREACHABLE = "unreachable"  # the store did not answer; asking later may help


class SecretError(Exception):
    """A secret could not be read. The text names the secret and never holds any of its value."""

    def __init__(self, code: SecretProblem, name: str, why: str) -> None:
        self.code = code
        self.name = name
        super().__init__(f"the secret {name[:130]!r} is {code}: {why}")


class SecretStore(Protocol):
    """Anything that gives out secrets by name."""

    def read(self, name: str, deadline: Deadline) -> Secret:
        """The secret of that name; raises `SecretError`, or `DeadlineExceeded` when the time is up."""
        ...


def open_secrets(where: str, prefix: str) -> SecretStore:
    """The store at `where` (`Settings.secrets`): the path of a directory, or `gcp:<project>`."""
    if where.startswith("gcp:"):
        return GoogleSecrets(where.removeprefix("gcp:"), prefix)
    return DirectorySecrets(Path(where), prefix)


def read_netbox_token(settings: Settings, deadline: Deadline) -> Secret:
    """The NetBox token of these settings, from the environment or from the secret store.

    The store is opened for that one name alone, which may (and should) lie outside the fabrics' prefix, so that
    nobody who edits a fabric can name it.
    """
    if settings.netbox_token is not None:
        return settings.netbox_token
    name = settings.netbox_token_secret
    if name is None or settings.secrets is None:
        raise SecretError(SecretProblem.MISSING, name or "", "neither NETBOX_TOKEN nor a secret to read it from is set")
    held = open_secrets(settings.secrets, prefix=name).read(name, deadline)
    try:
        return netbox_token(held.reveal().strip())
    except ValueError:
        raise SecretError(SecretProblem.INVALID, name, "it does not hold a NetBox API token") from None


def _allowed(name: str, prefix: str) -> None:
    if not _NAME.fullmatch(name):
        why = "a secret's name is 1 to 128 lower-case letters, digits and hyphens"
        raise SecretError(SecretProblem.FORBIDDEN, name, why)
    if not name.startswith(prefix):
        raise SecretError(SecretProblem.FORBIDDEN, name, f"only names that start with {prefix!r} may be read")


def _secret(name: str, raw: bytes) -> Secret:
    """The text of a secret, without the newline that editors put at the end."""
    if len(raw) > SIZE_LIMIT:
        raise SecretError(SecretProblem.INVALID, name, f"it is longer than {SIZE_LIMIT} bytes")
    try:
        text = raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:  # not chained: the exception holds the bytes
        raise SecretError(SecretProblem.INVALID, name, "it is not UTF-8 text") from None
    if not text.strip():
        raise SecretError(SecretProblem.INVALID, name, "it is empty")
    return Secret(text)


class DirectorySecrets:
    """Secrets in a directory, one file each, named as the secret is."""

    def __init__(self, directory: Path, prefix: str = "fabric-") -> None:
        self._directory = directory
        self._prefix = prefix

    def read(self, name: str, deadline: Deadline) -> Secret:
        """The content of the file `name`.

        Links are followed inside the directory only (Kubernetes mounts secrets as links); a file that is not a
        plain one (a pipe would block) or longer than 256 KiB is refused.
        """
        _allowed(name, self._prefix)
        deadline.check(f"reading the secret {name}")
        try:
            root = self._directory.resolve(strict=True)
            place = (root / name).resolve(strict=True)
            if not place.is_relative_to(root):
                why = "its file is a link that leads out of the secrets directory"
                raise SecretError(SecretProblem.FORBIDDEN, name, why)
            handle = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(handle, "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise SecretError(SecretProblem.INVALID, name, "there is something else than a file of that name")
                return _secret(name, file.read(SIZE_LIMIT + 1))
        except FileNotFoundError:
            why = f"put it into a file of that name in {self._directory}"
            raise SecretError(SecretProblem.MISSING, name, why) from None
        except PermissionError:
            raise SecretError(SecretProblem.FORBIDDEN, name, "this process may not read its file") from None
        except IsADirectoryError:
            raise SecretError(SecretProblem.INVALID, name, "there is a directory of that name") from None
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
            raise SecretError(SecretProblem.UNREACHABLE, name, f"its file cannot be read ({error})") from error


class GoogleSecrets:
    """Secrets in Google Secret Manager, the latest version of each, over REST: gRPC is never imported."""

    def __init__(
        self,
        project: str,
        prefix: str = "fabric-",
        *,
        base_url: str = "https://secretmanager.googleapis.com",
        credentials: Credentials | None = None,
    ) -> None:
        """`credentials` default to the file that GOOGLE_APPLICATION_CREDENTIALS names, else to the metadata server."""
        if not base_url.startswith("https:") and not is_loopback(base_url):
            raise ValueError(f"{base_url!r} would send a token in the clear: use https")
        self._project = project
        self._prefix = prefix
        self._base_url = base_url.rstrip("/")
        self._credentials = credentials

    def read(self, name: str, deadline: Deadline) -> Secret:
        """The latest version of the secret `name`, token and value both fetched within the deadline."""
        _allowed(name, self._prefix)
        deadline.check(f"reading the secret {name}")
        from infra.transport import TransportError, bounded_session  # imported on use: a directory needs no HTTP

        path = f"v1/projects/{quote(self._project, safe=':')}/secrets/{name}/versions/latest:access"
        with bounded_session(deadline, max_bytes=4 * SIZE_LIMIT) as session:
            try:
                token = self._token(session, name)
                answer = session.get(
                    f"{self._base_url}/{path}",
                    headers={"Authorization": f"Bearer {token.reveal()}"},
                )
            except TransportError as error:
                raise SecretError(SecretProblem.UNREACHABLE, name, f"no answer: {error}") from error
        if answer.status_code != 200:
            code, why = _REFUSALS.get(
                answer.status_code, (SecretProblem.UNREACHABLE, "Secret Manager cannot answer now")
            )
            raise SecretError(code, name, f"{why} (HTTP {answer.status_code})")
        try:
            raw = base64.b64decode(answer.json()["payload"]["data"], validate=True)
        except (ValueError, KeyError, TypeError, binascii.Error):  # not chained: a JSON error holds the whole answer
            raise SecretError(SecretProblem.INVALID, name, "the answer holds no payload, or not in base64") from None
        return _secret(name, raw)

    def _token(self, session: requests.Session, name: str) -> Secret:
        """An access token, kept with the credentials until shortly before it expires."""
        from google.auth.exceptions import GoogleAuthError

        try:
            if self._credentials is None:
                self._credentials = _default_credentials()
            if not self._credentials.valid:
                # not before_request(): that may start a thread which knows no deadline
                self._credentials.refresh(_TokenRequest(session, name))  # type: ignore[no-untyped-call]
            return Secret(self._credentials.token or "")
        except (GoogleAuthError, ValueError) as error:  # not chained: the text may quote the answer with the token
            why = f"no access token for Secret Manager could be had ({type(error).__name__}): check the credentials"
            raise SecretError(SecretProblem.FORBIDDEN, name, why) from None


# What Secret Manager's answers mean here (its REST reference, "accessing a secret version").
_REFUSALS: Final = {
    400: (SecretProblem.MISSING, "its latest version is disabled or destroyed: enable one, or add one"),
    401: (SecretProblem.FORBIDDEN, "Secret Manager does not accept our access token"),
    403: (SecretProblem.FORBIDDEN, "grant roles/secretmanager.secretAccessor on it to this function's account"),
    404: (SecretProblem.MISSING, "the project has no such secret, or no version of it"),
}


def _default_credentials() -> Credentials:
    """A credentials file, where one is named, else the account that the cloud runs us as.

    `google.auth.default()` is not used: it probes the metadata server with a client of its own and may start
    gcloud as a child process, neither of them under a deadline.
    """
    path = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    if not path:
        from google.auth import compute_engine

        of_the_cloud: Credentials = compute_engine.Credentials(scopes=[_SCOPE])  # type: ignore[no-untyped-call]
        return of_the_cloud

    from google.oauth2 import credentials, service_account

    # Two types and no other: an "external account" may name programs to run and addresses to send tokens to.
    makers: dict[str, Callable[..., Credentials]] = {
        "service_account": service_account.Credentials.from_service_account_info,
        "authorized_user": credentials.Credentials.from_authorized_user_info,
    }
    try:
        info = json.loads(Path(path).read_text("utf-8"))
        return makers[info["type"]](info, scopes=[_SCOPE])
    except (OSError, KeyError, TypeError) as error:
        raise ValueError("GOOGLE_APPLICATION_CREDENTIALS names no usable credentials file") from error


class _TokenRequest:
    """google-auth's way to the network (`google.auth.transport.Request`), on the bounded session.

    A server that fails ends the reading at once: google-auth would try five times, with sleeps between that no
    deadline bounds.
    """

    def __init__(self, session: requests.Session, name: str) -> None:
        self._session = session
        self._name = name

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **options: object,
    ) -> _TokenAnswer:
        answer = self._session.request(method, url, data=body, headers=headers)
        if answer.status_code >= 500 or answer.status_code in (408, 429):
            why = f"the token server cannot answer now (HTTP {answer.status_code})"
            raise SecretError(SecretProblem.UNREACHABLE, self._name, why)
        return _TokenAnswer(answer.status_code, answer.headers, answer.content)


@dataclass(frozen=True, slots=True)
class _TokenAnswer:
    """What google-auth reads of an answer (`google.auth.transport.Response`)."""

    status: int
    headers: Mapping[str, str]
    data: bytes
