"""Google's own Pub/Sub emulator as a process of ours: found here, started on a free port, ended by its id."""

from __future__ import annotations

import http.client
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.deadline import Deadline
from infra.sandbox.process import NotReady, Program, free_port

JAR_SETTING = "PUBSUB_EMULATOR_JAR"
"""The environment variable that names the emulator's jar when it is not in the Google Cloud SDK on the path."""

_JARS = "platform/pubsub-emulator/lib/*.jar"
_STARTS = 3
"""How often a start is tried: another program may take the free port before the emulator does."""


class EmulatorMissing(Exception):
    """The emulator cannot be started on this machine; the text says what is missing and how to name it."""


def emulator_jar() -> Path:
    """The emulator's jar: the one that `PUBSUB_EMULATOR_JAR` names, or the one in the SDK that `gcloud` belongs to."""
    named = os.environ.get(JAR_SETTING)
    if named:
        if not Path(named).is_file():
            raise EmulatorMissing(f"{JAR_SETTING} names {named}, and there is no such file")
        return Path(named)
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        raise EmulatorMissing(f"no gcloud on the path (Google Cloud SDK), and {JAR_SETTING} is not set")
    sdk = Path(gcloud).resolve().parent.parent
    found = sorted(sdk.glob(_JARS))
    if not found:
        raise EmulatorMissing(f"the Google Cloud SDK at {sdk} has no {_JARS} (component pubsub-emulator)")
    return found[-1]


def java() -> str:
    """The path of the java program."""
    found = shutil.which("java")
    if found is None:
        raise EmulatorMissing("no java on the path: the Pub/Sub emulator needs one")
    return found


class Emulator:
    """The emulator, from `start` (or `with`) to `close`. Its output goes to `log`."""

    def __init__(self, log: Path, on_start: Callable[[int], None] = lambda pid: None) -> None:
        """Raises `EmulatorMissing`. `on_start` hears the id of each process that is started."""
        self._log = log
        self._on_start = on_start
        # The jar itself and not gcloud's wrapper: one process, one id, no 63 MB of Python beside it.
        self._command = [java(), "-Xmx256m", "-jar", str(emulator_jar()), "--host=127.0.0.1"]
        self._program: Program | None = None
        self._port = 0

    @property
    def host(self) -> str:
        """What `PUBSUB_EMULATOR_HOST` wants, such as `127.0.0.1:8085`."""
        return f"127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """The address of its REST form."""
        return f"http://{self.host}"

    def start(self, seconds: float = 90.0) -> Self:
        """Returns when it answers (two to four seconds on a quiet machine); raises `NotReady`."""
        deadline = Deadline.after(seconds)
        for attempt in range(1, _STARTS + 1):
            self._port = free_port()
            command = [*self._command, f"--port={self._port}"]
            self._program = Program("the Pub/Sub emulator", command, self._log, on_start=self._on_start)
            try:
                self._program.start()
                self._program.wait_ready(lambda: _answers(self._port), deadline)
            except NotReady:
                self.close()
                if attempt == _STARTS or deadline.expired():
                    raise
            else:
                break
        return self

    def close(self) -> None:
        if self._program:
            # It keeps nothing, so there is nothing to wait for.
            self._program.stop(grace=1.0)
            self._program = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
