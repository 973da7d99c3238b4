"""Who this sandbox is: its secrets and the place of its database, kept in one file that only its user can read."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import string
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from infra.sandbox.netbox.errors import CannotStart
from infra.sandbox.netbox.installation import can_reach, unprivileged

_LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Instance:
    """The secrets of one sandbox, drawn once for each state directory, and `home`, where PostgreSQL lives.

    `home` is inside the state directory, except where the user PostgreSQL runs as cannot get there.
    """

    home: Path
    username: str = "admin"
    password: str = field(default="admin", repr=False)
    token_v2: str = field(default="", repr=False)
    token_v1: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    pepper: str = field(default="", repr=False)

    def digest(self) -> str:
        """A fingerprint of what a database of this instance has inside it: its account and its tokens."""
        parts = [self.username, self.password, self.token_v2, self.token_v1, self.pepper]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def instance_of(state: Path) -> Instance:
    """The instance of the state directory, made on the first call."""
    path = path_of(state)
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        instance = Instance(**{**raw, "home": Path(raw["home"])})
    except FileNotFoundError:
        instance = Instance(
            home=_home(state),
            token_v2=f"nbt_{_draw(12)}.{_draw(40)}",
            token_v1=secrets.token_hex(20),
            secret_key=_draw(60),
            pepper=_draw(60),
        )
        content = json.dumps({**asdict(instance), "home": str(instance.home)}, indent=2)
        beside = path.with_suffix(".new")
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(content)
        beside.replace(path)
    # A home outside the state directory may have been swept away with other temporary files.
    instance.home.mkdir(exist_ok=True)
    if instance.home.is_symlink() or instance.home.stat().st_uid != os.geteuid():
        raise CannotStart(f"{instance.home} belongs to somebody else: remove {path} to begin anew")
    instance.home.chmod(0o755)
    return instance


def path_of(state: Path) -> Path:
    """Where the instance file of a state directory is."""
    return state / "instance.json"


def _home(state: Path) -> Path:
    account = unprivileged()
    if account is None or can_reach(account, state):
        return state / "postgres"
    return Path(tempfile.mkdtemp(prefix="fabric-sync-postgres-"))


def _draw(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))
