"""A function served as it is in the cloud: functions-framework in a process of its own, on a free port."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.deadline import Deadline
from infra.sandbox.process import Program, free_port

# Answered by functions-framework itself for every kind of function: asking for it calls nobody's code.
_READY_PATH = "/robots.txt"


@dataclass(slots=True)
class Serving:
    """The function `target` of the file `source`, from `start` (or `with`) to `close`; its output goes to `log`.

    `threads` is how many requests are served at once: with 1, gunicorn's own timeout can end a worker that hangs.
    `port` 0 is a free one. `environment` stands above ours. `directory` is where it runs, and is on its import path.
    """

    source: Path
    target: str
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None
    threads: int = 1
    workers: int = 1
    python: str = sys.executable
    on_start: Callable[[int], None] = lambda pid: None
    port: int = 0
    _program: Program | None = None

    @property
    def url(self) -> str:
        """Where it is served, such as `http://127.0.0.1:8080`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The id of the master process, 0 when it does not run."""
        return self._program.pid if self._program else 0

    def start(self, seconds: float = 60.0) -> Self:
        """Returns when the framework answers; raises `NotReady` with the end of its output."""
        self.port = self.port or free_port()
        command = [self.python, "-m", "functions_framework", "--source", str(self.source), "--target", self.target]
        settings = {"THREADS": str(self.threads), "WORKERS": str(self.workers)}
        self._program = Program(
            f"the function {self.target}",
            [*command, "--host", "127.0.0.1", "--port", str(self.port)],
            self.log,
            {**settings, "PYTHONUNBUFFERED": "1", **self.environment},
            self.directory,
            self.on_start,
        )
        try:
            self._program.start()
            self._program.wait_ready(self._answers, Deadline.after(seconds))
        except BaseException:  # Ctrl-C too: what was started must not stay
            self.close()
            raise
        return self

    def close(self, grace: float = 3.0) -> None:
        """Ends it: `grace` seconds for requests under way (the framework itself would wait 30), then at once."""
        if self._program:
            self._program.stop(grace)
            self._program = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", _READY_PATH)
            return connection.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
