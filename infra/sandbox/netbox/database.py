"""The sandbox's PostgreSQL: made from the migrated dump once, then a template that every reset copies."""

from __future__ import annotations

import json
import lzma
import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from infra.deadline import Deadline
from infra.sandbox.netbox.errors import CannotStart, SandboxError
from infra.sandbox.netbox.installation import Postgres

USER = "netbox"
TEMPLATE = "netbox_template"
LIVE = "netbox"

_RECEIPT = "template.json"

_FIRST_MAJOR_WITH_BUILTIN_COLLATIONS = 17
_ICU_COLLATION = b"CREATE COLLATION public.natural_sort (provider = icu, locale = 'und-u-kn-true');"
_BUILTIN_COLLATION = b"CREATE COLLATION public.natural_sort (provider = builtin, locale = 'C.UTF-8');"
"""Where PostgreSQL is built without ICU; only the order of names with numbers in them is another one."""

_SETTINGS = {
    # A sandbox may lose its data with the machine: nothing waits for a disk.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # No port, only the socket.
    "listen_addresses": "",
    "max_connections": "60",
    "shared_buffers": "128MB",
    "jit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    # Resets kill connections on purpose.
    "log_min_error_statement": "panic",
}


class QueryFailed(SandboxError):
    """PostgreSQL refused a statement of ours."""


@dataclass(frozen=True, slots=True)
class Database:
    """One PostgreSQL cluster: its programs, its `home` (data in there), the directory of its socket."""

    postgres: Postgres
    home: Path
    sockets: Path

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.home / "data"

    @property
    def receipt(self) -> Path:
        """The file that says what the template was made from; written when it is complete."""
        return self.home / _RECEIPT

    @staticmethod
    def forget_template(home: Path) -> None:
        """Let the next start make the cluster of `home` anew."""
        (home / _RECEIPT).unlink(missing_ok=True)

    def command(self) -> list[str | Path]:
        """The command that serves this cluster."""
        settings = {**_SETTINGS, "unix_socket_directories": str(self.sockets)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self.postgres.programs / "postgres", "-D", self.data, *options]

    def environment(self) -> dict[str, str]:
        """The environment of PostgreSQL's programs: ours has nothing to tell them."""
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}

    def has_template(self, made_from: dict[str, str]) -> bool:
        """Whether the template on disk was made from just this."""
        try:
            known = json.loads(self.receipt.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return False
        return bool(known == made_from) and (self.data / "PG_VERSION").exists()

    def seal_template(self, made_from: dict[str, str]) -> None:
        """Write down that the template is complete."""
        self.receipt.write_text(json.dumps(made_from), encoding="utf-8")

    def create_cluster(self) -> None:
        """Make an empty cluster, in place of what may be there; raises `CannotStart` with PostgreSQL's words."""
        self.receipt.unlink(missing_ok=True)
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(mode=0o700)
        account = self.postgres.account
        if account:
            os.chown(self.data, account.uid, account.gid)
        # `trust`: whoever can open the socket is in. Its directory is closed to everyone else.
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", f"--username={USER}"]
        done = subprocess.run(
            [self.postgres.programs / "initdb", "-D", self.data, *options],
            capture_output=True,
            text=True,
            check=False,
            env=self.environment(),
            cwd=self.home,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
        if done.returncode != 0:
            raise CannotStart(f"PostgreSQL could not make its data directory {self.data}: {done.stderr.strip()}")

    def answers(self) -> bool:
        """Whether the server takes statements."""
        try:
            self.run("SELECT 1", database="postgres")
        except QueryFailed:
            return False
        return True

    def has_icu(self) -> bool:
        """Whether this PostgreSQL was built with ICU."""
        # Only the collations that initdb finds in ICU itself tell: a build without it lists one more, and refuses it.
        found = self.run("SELECT count(*) > 0 FROM pg_collation WHERE collname = 'und-x-icu'", database="postgres")
        return found.strip() == "t"

    def run(self, *statements: str, database: str, deadline: Deadline | None = None) -> str:
        """Run statements, each in its own transaction, and return what they print; raises `QueryFailed`."""
        options = [part for statement in statements for part in ("-c", statement)]
        return self._psql(database, options, b"", deadline or Deadline.after(60)).decode()

    def restore(self, dump: Path, *, database: str) -> None:
        """Fill a new database from a dump compressed with xz; raises `QueryFailed`."""
        self.run(f"CREATE DATABASE {database}", database="postgres")
        content = lzma.decompress(dump.read_bytes())
        if not self.has_icu():
            if self.postgres.major < _FIRST_MAJOR_WITH_BUILTIN_COLLATIONS:
                raise QueryFailed(f"this PostgreSQL {self.postgres.major} has no ICU, which NetBox needs before 17")
            if _ICU_COLLATION not in content:
                raise QueryFailed(f"{dump} does not hold the collation this PostgreSQL without ICU must replace")
            content = content.replace(_ICU_COLLATION, _BUILTIN_COLLATION)
        self._psql(database, ["--single-transaction", "-f", "-"], content, Deadline.after(120))

    def copy_template(self) -> None:
        """Put a fresh copy of the template in place of the live database, whoever is connected to it."""
        self.run(
            f"DROP DATABASE IF EXISTS {LIVE} WITH (FORCE)",
            f"CREATE DATABASE {LIVE} TEMPLATE {TEMPLATE}",
            database="postgres",
        )

    def has(self, database: str) -> bool:
        """Whether a database of this name exists."""
        return bool(self.run(f"SELECT 1 FROM pg_database WHERE datname = '{database}'", database="postgres").strip())  # noqa: S608

    def dump(self) -> str:
        """The live database as SQL that belongs to nobody; raises `QueryFailed`."""
        command: list[str | Path] = [self.postgres.programs / "pg_dump", "--no-owner", "--no-privileges"]
        done = subprocess.run(
            [*command, "-h", self.sockets, "-U", USER, LIVE],
            capture_output=True,
            text=True,
            env=self.environment(),
            check=False,
        )
        if done.returncode != 0:
            raise QueryFailed(f"pg_dump failed: {done.stderr.strip()}")
        return done.stdout

    def _psql(self, database: str, options: Iterable[str], content: bytes, deadline: Deadline) -> bytes:
        command: list[str | Path] = [self.postgres.programs / "psql", "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1"]
        command += ["-h", self.sockets, "-U", USER, "-d", database, *options]
        try:
            done = subprocess.run(
                command,
                input=content,
                capture_output=True,
                env=self.environment(),
                check=False,
                timeout=deadline.check("a statement to PostgreSQL"),
            )
        except subprocess.TimeoutExpired as error:
            raise QueryFailed(f"PostgreSQL did not finish in {error.timeout:.0f} s") from error
        if done.returncode != 0:
            raise QueryFailed(f"PostgreSQL refused: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout
