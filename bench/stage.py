"""The stage of a bench: a real NetBox, one simulated fabric, and the sync run against them in this process."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from functions import registry
from functions.bootstrap import bootstrap
from functions.events import SyncRequest
from functions.outcome import Outcome
from functions.pace import Pace
from functions.records import MODELS
from functions.run import Run
from functions.sync import sync
from infra.deadline import Deadline
from infra.netbox import NetBox, Row
from infra.sandbox.fabric.serve import Content, ServedFabric, serve
from infra.sandbox.netbox import NetBoxSandbox
from infra.secrets import DirectorySecrets

FABRIC = "bench"


@dataclass(slots=True)
class Sent:
    """One bulk request as it was sent, the ids in its answer, and the seconds NetBox took.

    `fitting` is how many rows would have been a whole batch at that moment.
    """

    verb: str
    path: str
    rows: list[Row]
    seconds: float
    ids: list[int]
    fitting: int


@dataclass(slots=True)
class Recorder:
    """Notes every bulk write of a `NetBox`, so that the same rows can be sent again by a bare loop."""

    sent: list[Sent] = field(default_factory=list)
    _fitting: dict[tuple[str, str], int] = field(default_factory=dict)

    @contextmanager
    def watching(self, netbox: NetBox) -> Iterator[None]:
        """Note what `netbox` writes meanwhile, and how large its batches may be."""
        for verb in ("create", "update"):
            self._wrap(netbox, verb)
        fits = Pace.fits

        def noted(pace: Pace, model: str, verb: str, *args: Any) -> int:
            size = fits(pace, model, verb, *args)
            self._fitting[verb, MODELS[model].path] = size
            return size

        with patch.object(Pace, "fits", noted):
            yield

    def _wrap(self, netbox: NetBox, verb: str) -> None:
        write = getattr(netbox, verb)

        def noted(path: str, rows: Sequence[Mapping[str, Any]], *more: Any) -> list[Row]:
            started, fitting = time.monotonic(), self._fitting.get((verb, path), len(rows))
            answer: list[Row] = write(path, rows, *more)
            seconds = time.monotonic() - started
            ids = [row["id"] for row in answer]
            self.sent.append(Sent(verb, path, [dict(row) for row in rows], seconds, ids, max(fitting, len(rows))))
            return answer

        setattr(netbox, verb, noted)


@dataclass(slots=True)
class Stage:
    """A NetBox that can be set back to empty, and the fabric that is synced into it."""

    box: NetBoxSandbox
    url: str
    token: str
    secrets: Path
    fabric: ServedFabric

    def empty(self) -> None:
        """Set NetBox back and make it ready for the fabric: the same ids every time."""
        self.box.reset()
        with self.netbox(120) as netbox:
            for _ in bootstrap(netbox):
                pass
            netbox.create("dcim/sites", [{"name": FABRIC, "slug": FABRIC}])
            registry.add(netbox, FABRIC, site=FABRIC, secret=f"fabric-{FABRIC}")

    def netbox(self, seconds: float, reserve: float = 0.0) -> NetBox:
        """A client of the NetBox, for `seconds`."""
        return NetBox(self.url, self.token, Deadline.after(seconds, reserve=reserve))

    def sync(self, seconds: float, recorder: Recorder | None = None) -> tuple[Outcome, float]:
        """One run with a deadline of `seconds`: its outcome, and its wall time in seconds."""
        return sync_once(self.url, self.token, self.secrets, seconds, recorder)


def sync_once(
    url: str, token: str, secrets: Path, seconds: float, recorder: Recorder | None = None
) -> tuple[Outcome, float]:
    """One run in this process, as the child of the deployed function does it: its outcome, and its wall time."""
    started = time.monotonic()
    deadline = Deadline.after(seconds, reserve=min(3.0, seconds / 10))
    with NetBox(url, token, deadline) as netbox:
        request = SyncRequest(FABRIC, id_ := str(uuid.uuid4()), id_, "bench")
        run = Run(request, DirectorySecrets(secrets, "fabric-"), netbox.deadline)
        with recorder.watching(netbox) if recorder is not None else nullcontext():
            outcome = sync(run, netbox)
    return outcome, time.monotonic() - started


@contextmanager
def staged(content: Content, state: Path) -> Iterator[Stage]:
    """A stage with `content` as the fabric; NetBox is left running, for the next stage may use it."""
    box = NetBoxSandbox(state / "netbox")
    up = box.up(print)
    with serve({FABRIC: content}, state / "fabrics") as fabrics:
        yield Stage(box, up.url, up.token_v2, state / "fabrics" / "secrets", fabrics[FABRIC])
