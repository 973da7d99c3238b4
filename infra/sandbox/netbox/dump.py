"""Makes the migrated dump that ships with the sandbox: `python -m infra.sandbox.netbox.dump`.

NetBox's migrations take about 13 minutes of CPU, restoring their outcome 3 seconds. To be run again when the pinned
NetBox changes; needs a PostgreSQL with ICU (Debian's), because NetBox's migrations make an ICU collation.
"""

from __future__ import annotations

import lzma
import re
import subprocess
from functools import partial
from pathlib import Path

from infra.sandbox.netbox.database import LIVE
from infra.sandbox.netbox.errors import CannotStart
from infra.sandbox.netbox.installation import DUMP, Progress, install
from infra.sandbox.netbox.instance import instance_of
from infra.sandbox.netbox.ledger import end_all
from infra.sandbox.netbox.sandbox import default_state
from infra.sandbox.netbox.startup import Startup

_MIGRATE_SECONDS = 2 * 3600
_NOT_PORTABLE = re.compile(r"^(\\(un)?restrict .*|SET transaction_timeout = .*|-- Dumped (from|by) .*)\n", re.MULTILINE)
"""Lines of pg_dump that older programs do not know, or that differ from run to run."""
FILLED_BY_MIGRATIONS = {
    "auth_permission",
    "core_objecttype",
    "dcim_moduletypeprofile",
    "django_content_type",
    "django_migrations",
}
"""The only tables that may hold rows: no users, no tokens, no sessions, nobody's objects."""


def make_dump(state: Path, target: Path, progress: Progress) -> None:
    """Migrate an empty database in the sandbox directory `state` and write it to `target`, without any account.

    Raises `CannotStart` when a migration fails, or when the outcome holds a user or a token.
    """
    state.mkdir(parents=True, exist_ok=True)
    end_all(state)
    instance = instance_of(state)
    installation = install(state, instance.home, progress, packaged_postgres=False)
    startup = Startup(state, installation, instance, progress, [])
    try:
        startup.open(None)
        database = startup.database()
        startup.serve_database(database, fresh=True)
        startup.serve_valkey()
        database.run(f"CREATE DATABASE {LIVE}", database="postgres")
        progress("migrating (about 13 minutes of CPU)")
        command: list[str | Path] = [installation.python, "-m", "netbox", "migrate", "--no-input"]
        migrated = subprocess.run(
            command, env=startup.environment(LIVE), stderr=subprocess.PIPE, timeout=_MIGRATE_SECONDS, check=False
        )
        if migrated.returncode != 0:
            raise CannotStart(f"NetBox could not migrate: {migrated.stderr.decode(errors='replace')[-2000:]}")
        content = portable(database.dump())
        found = filled_tables(content) - FILLED_BY_MIGRATIONS
        if found:
            raise CannotStart(f"the migrated database is not empty: {', '.join(sorted(found))}")
        target.write_bytes(lzma.compress(content.encode(), preset=9 | lzma.PRESET_EXTREME))
        progress(f"wrote {target} ({target.stat().st_size // 1024} KiB)")
    finally:
        end_all(state)


def portable(content: str) -> str:
    """A dump that every PostgreSQL from 15 on can read, the same for the same database."""
    return _NOT_PORTABLE.sub("", content)


def filled_tables(content: str) -> set[str]:
    """The tables that have rows in a dump."""
    return set(re.findall(r"^COPY public\.(\w+) \(.*\n(?!\\\.)", content, re.MULTILINE))


if __name__ == "__main__":
    make_dump(default_state("netbox-dump").absolute(), DUMP, partial(print, flush=True))
