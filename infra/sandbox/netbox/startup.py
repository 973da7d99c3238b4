"""Brings the processes of a sandbox up, one after the other, each written down before the next."""

from __future__ import annotations

import hashlib
import http.client
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from infra.deadline import Deadline
from infra.sandbox.netbox.database import LIVE, TEMPLATE, Database
from infra.sandbox.netbox.errors import CannotStart
from infra.sandbox.netbox.installation import DUMP, NETBOX, Installation, Progress
from infra.sandbox.netbox.instance import Instance
from infra.sandbox.netbox.instance import path_of as instance_path
from infra.sandbox.netbox.ledger import POSTGRES, WORKER, Ledger
from infra.sandbox.netbox.ledger import path_of as ledger_path
from infra.sandbox.netbox.processes import MARK, Account, Process, start, wait_until

_INSIDE = Path(__file__).with_name("inside")
_ROOT = Path(__file__).resolve().parents[3]

_PASSED_ON = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH")
"""What NetBox's Python is told of our environment; some Pythons find their own library by the last one only."""

_SERVER_SECONDS = 60
_ACCOUNTS_SECONDS = 180
_BOOT_SECONDS = 300
_LONGEST_SOCKET_DIRECTORY = 107 - len("/.s.PGSQL.5432.lock")
"""A socket's path has 108 bytes with its closing zero (unix(7))."""


@dataclass
class Startup:
    """One start of a sandbox; `ledger` grows with it, on disk too, and `children` holds what we are the parent of."""

    state: Path
    installation: Installation
    instance: Instance
    progress: Progress
    children: list[subprocess.Popen[bytes]]
    dump: Path = DUMP

    def run(self, workers: int, owner: Process | None, *, last_port: int) -> Ledger:
        """Start everything and return when NetBox answers; raises `CannotStart` with what the process said."""
        self.open(owner)
        database = self.database()
        made_from = self._made_from()
        fresh = not database.has_template(made_from)
        self.serve_database(database, fresh=fresh)
        self.serve_valkey()
        if fresh:
            self.progress("filling the database from the migrated dump (5 to 20 seconds, once)")
            database.restore(self.dump, database=TEMPLATE)
            self._create_accounts()
            database.seal_template(made_from)
        if not database.has(LIVE):
            database.copy_template()
        self._serve_netbox(workers, last_port)
        return self.ledger

    def open(self, owner: Process | None) -> None:
        """Make the directories, begin the ledger, and set a keeper beside an owner."""
        for name in ("logs", "root"):
            (self.state / name).mkdir(exist_ok=True)
        for log in (self.state / "logs").iterdir():
            log.unlink()
        sockets = Path(tempfile.mkdtemp(prefix="fabric-sync-"))
        self.ledger = Ledger(sockets=sockets, owner=owner)
        self._write_ledger()
        if len(str(sockets)) > _LONGEST_SOCKET_DIRECTORY:
            raise CannotStart(f"{sockets} is too long for sockets: set TMPDIR to a shorter directory")
        account = self.installation.postgres.account
        if account:
            os.chown(sockets, account.uid, account.gid)
        if owner:
            env = {**os.environ, MARK: str(self.state), "PYTHONPATH": str(_ROOT)}
            self._start("keeper", [sys.executable, "-m", "infra.sandbox.netbox.keeper", self.state], env=env, cwd=_ROOT)

    def database(self) -> Database:
        """The PostgreSQL of this start."""
        return Database(self.installation.postgres, self.instance.home, self.ledger.sockets)

    def serve_database(self, database: Database, *, fresh: bool) -> None:
        """Start PostgreSQL, `fresh` with a new cluster."""
        if fresh:
            self.progress("making a PostgreSQL data directory (a few seconds, once)")
            database.create_cluster()
        env = {**database.environment(), MARK: str(self.state)}
        account = self.installation.postgres.account
        server = self._start(POSTGRES, database.command(), env=env, account=account, cwd=self.instance.home)
        try:
            self._wait(server, database.answers, _SERVER_SECONDS, "PostgreSQL")
        except CannotStart as error:
            database.forget_template(database.home)
            raise CannotStart(f"{error}\nThe next start makes the database anew.") from error

    def serve_valkey(self) -> None:
        """Start Valkey: on a socket, nothing kept on disk."""
        path = self.ledger.sockets / "valkey.sock"
        options = [
            "--port",
            "0",
            "--unixsocket",
            path,
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            self.ledger.sockets,
        ]
        server = self._start("valkey", [self.installation.valkey, *options], env=self.environment(LIVE))
        self._wait(server, path.exists, _SERVER_SECONDS, "Valkey")

    def serve_worker(self, ledger: Ledger) -> Process:
        """Start NetBox's worker beside what `ledger` has running, and return when it listens."""
        self.ledger = ledger
        command = [self.installation.python.with_name("netbox"), "rqworker"]
        worker = self._start(WORKER, command, env=self.environment(LIVE))
        self._wait(worker, lambda: "Listening on" in self._log(WORKER).read_text(), _BOOT_SECONDS, "NetBox's worker")
        return worker

    def environment(self, database: str) -> dict[str, str]:
        """The environment of NetBox's programs, working on the database of that name."""
        passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return {
            **passed,
            MARK: str(self.state),
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": str(_INSIDE),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NETBOX_ROOT": str(self.state / "root"),
            "NETBOX_CONFIGURATION": "sandbox_configuration",
            "FABRIC_SYNC_NETBOX_INSTANCE": str(instance_path(self.state)),
            "FABRIC_SYNC_NETBOX_SOCKETS": str(self.ledger.sockets),
            "FABRIC_SYNC_NETBOX_DATABASE": database,
        }

    def _made_from(self) -> dict[str, str]:
        return {
            "dump": hashlib.sha256(self.dump.read_bytes()).hexdigest(),
            "postgres": str(self.installation.postgres.programs),
            "instance": self.instance.digest(),
        }

    def _create_accounts(self) -> None:
        command = [self.installation.python, _INSIDE / "sandbox_accounts.py"]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                env=self.environment(TEMPLATE),
                timeout=_ACCOUNTS_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise CannotStart(f"NetBox did not make its administrator in {_ACCOUNTS_SECONDS} s") from error
        if done.returncode != 0:
            raise CannotStart(f"NetBox could not make its administrator:\n{done.stderr[-2000:]}")

    def _serve_netbox(self, workers: int, last_port: int) -> None:
        self.progress(f"starting NetBox {NETBOX} (5 to 30 seconds: it is a large import)")
        with _bound(last_port) as door:
            command = [self.installation.python, "-m", "gunicorn", "--bind", f"fd://{door.fileno()}", "--preload"]
            # Threads, as in NetBox's own configuration: a browser opens connections it says nothing on for a while.
            command += ["--workers", workers, "--threads", 3, "--timeout", 600, "--graceful-timeout", 5]
            command += ["--no-control-socket", "--worker-tmp-dir", self.ledger.sockets, "sandbox_wsgi"]
            self.ledger = replace(self.ledger, port=door.getsockname()[1])
            server = self._start("netbox", command, env=self.environment(LIVE), fds=[door.fileno()])
        token = self.instance.token_v2
        # A short patience for each question: until the workers are there, nobody takes the connection.
        self._wait(
            server, lambda: answers(self.ledger.port, token, Deadline.after(30)), _BOOT_SECONDS, "NetBox's first answer"
        )
        self.progress(f"NetBox {NETBOX} is up at http://127.0.0.1:{self.ledger.port}")

    def _start(
        self,
        name: str,
        command: Sequence[object],
        *,
        env: dict[str, str],
        account: Account | None = None,
        cwd: Path | None = None,
        fds: Sequence[int] = (),
    ) -> Process:
        process, child = start(
            name, [str(part) for part in command], log=self._log(name), env=env, account=account, cwd=cwd, pass_fds=fds
        )
        self.children.append(child)
        self.ledger = self.ledger.add(process)
        self._write_ledger()
        return process

    def _wait(self, process: Process, ready: Callable[[], bool], seconds: float, what: str) -> None:
        wait_until(ready, Deadline.after(seconds), what, process=process, log=self._log(process.name))

    def _write_ledger(self) -> None:
        self.ledger.write(ledger_path(self.state))

    def _log(self, name: str) -> Path:
        return self.state / "logs" / f"{name}.log"


def answers(port: int, token: str, deadline: Deadline) -> bool:
    """Whether the NetBox on this port answers an authorised question about its status before the deadline.

    Raises `CannotStart`, with what it said, when it answers that it cannot: asking again would not help.
    """
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=max(deadline.left(), 0.1))
    try:
        link.request("GET", "/api/status/", headers={"Authorization": f"Bearer {token}", "Accept": "application/json"})
        answer = link.getresponse()
        body = answer.read(2000)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        link.close()
    if answer.status != http.HTTPStatus.OK:
        said = body.decode(errors="replace")
        raise CannotStart(f"NetBox runs but answers {answer.status} when asked for its status: {said}")
    return True


def flush(sockets: Path) -> None:
    """Empty Valkey; raises `CannotStart` when it does not say that it did."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(30)
        link.connect(str(sockets / "valkey.sock"))
        link.sendall(b"FLUSHALL\r\n")
        said = link.recv(100)
    if not said.startswith(b"+OK"):
        raise CannotStart(f"Valkey did not empty itself: {said!r}")


def _bound(last_port: int) -> socket.socket:
    # The port of last time where it is free, so that a browser's tabs and a person's notes stay true.
    for port in (last_port, 0):
        door = socket.socket()
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind(("127.0.0.1", port))
        except OSError:
            door.close()
        else:
            return door
    raise CannotStart("no free port on the loopback interface")
