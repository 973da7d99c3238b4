"""The parent's side of one child: it listens, ends the child at the wall, and sees what became of it."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from infra.deadline import Deadline
from infra.forkserver import NUMBER, end_group
from infra.frames import LAST, BrokenFrames, Frame, Frames

_SLICE: Final = 0.05  # seconds of one wait: how soon a stop is noticed
_READ: Final = 64 * 1024
_LINGER: Final = 0.5  # seconds that a child may take to end after its last frame
_REAP: Final = 1.0  # seconds in which a killed child must be gone; one in the kernel's hands may take longer


@dataclass(slots=True)
class Seen:
    """What the parent saw of a child's life; nothing of it is a judgement."""

    pid: int = 0
    errno: int = 0  # why the fork server could not fork
    status: int | None = None  # as `os.waitpid` gives it
    last: Frame | None = None
    broken: str = ""  # how its frames broke the rules
    at_wall: bool = False  # it was killed at the wall
    stopped: bool = False  # it was sent SIGTERM
    after_grace: bool = False  # it was killed because it did not heed that
    deserted: bool = False  # the fork server went away


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a child works: until when, how it hears of a stop, and who listens to it."""

    wall: Deadline
    stopping: Callable[[], bool]
    grace: float  # seconds between SIGTERM and SIGKILL
    on_message: Callable[[Mapping[str, Any]], None]
    on_start: Callable[[], None]  # called when there is a child


class Watch:
    """Watches one child from the request for it to its end. A block: afterwards it is gone, and all is closed."""

    def __init__(self, channel: socket.socket, status: socket.socket, ask: bytes, terms: Terms) -> None:
        """`channel` leads to the child, `status` to the fork server; `ask` is sent as soon as there is a child."""
        self.seen = Seen()
        self._channel, self._status, self._terms = channel, status, terms
        self._ask = memoryview(ask)
        self._frames = Frames()
        self._hears = True
        self._kill_at = float("inf")  # the nearest reason to kill beside the wall
        self._gone_by: float | None = None  # set once it was killed
        for end in (channel, status):
            end.setblocking(False)

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *raised: object) -> None:
        if self.seen.pid and self.seen.status is None:
            end_group(self.seen.pid)
        self._channel.close()
        self._status.close()  # a fork server that is still at it ends the child by this

    def until_ended(self) -> Seen:
        """Returns when the child is gone, at the wall and little more; raises only what `on_message` raises."""
        while not self._over():
            self._decide()
            self._wait()
        while self._hears and self._listen():
            continue  # what it said before it ended
        return self.seen

    def _over(self) -> bool:
        if self.seen.status is not None or self.seen.errno or self.seen.deserted:
            return True
        if self._gone_by is not None:
            return time.monotonic() >= self._gone_by
        return not self.seen.pid and self.seen.at_wall

    def _decide(self) -> None:
        """What the time demands: the wall first, then what was told, then the end of patience."""
        seen, now = self.seen, time.monotonic()
        if self._gone_by is not None:
            return
        if self._terms.wall.left() <= 0:
            seen.at_wall = True
            self._kill()
        elif now >= self._kill_at:
            seen.after_grace = seen.last is None
            self._kill()
        elif seen.pid and not seen.stopped and seen.last is None and self._terms.stopping():
            seen.stopped = True
            self._kill_at = min(self._kill_at, now + self._terms.grace)
            self._signal(signal.SIGTERM)

    def _kill(self) -> None:
        if self.seen.pid:
            self._gone_by = time.monotonic() + _REAP
            end_group(self.seen.pid)

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.kill(self.seen.pid, number)
        except ProcessLookupError:
            return  # it ended by itself; the fork server is about to say so

    def _wait(self) -> None:
        """Wait for the child or the fork server, no longer than a slice, the wall and the patience allow."""
        if self._over():
            return
        poll = select.poll()
        poll.register(self._status, select.POLLIN)
        if self._hears and self.seen.pid:
            poll.register(self._channel, select.POLLIN | (select.POLLOUT if self._ask else 0))
        ends = [_SLICE, self._kill_at - time.monotonic()]
        if self._gone_by is None:
            ends.append(self._terms.wall.left())
        ready = dict(poll.poll(max(0.0, min(ends)) * 1000))
        events = ready.get(self._channel.fileno(), 0)
        if events & select.POLLOUT:
            self._speak()
        if events & ~select.POLLOUT:
            self._listen()
        if self._status.fileno() in ready:
            self._hear_server()

    def _hear_server(self) -> None:
        try:
            said = self._status.recv(NUMBER.size)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if len(said) < NUMBER.size:
            self.seen.deserted = True
        elif self.seen.pid:
            self.seen.status = NUMBER.unpack(said)[0]
        elif (number := NUMBER.unpack(said)[0]) > 0:
            self.seen.pid = number
            self._terms.on_start()
        else:
            self.seen.errno = -number

    def _speak(self) -> None:
        try:
            self._ask = self._ask[self._channel.send(self._ask[:_READ]) :]
        except BlockingIOError:
            return
        except OSError:
            self._ask = memoryview(b"")  # it is gone, or listens no more; its end is told by the fork server

    def _listen(self) -> bool:
        """Take what the child said, one reading of it; whether there may be more."""
        try:
            data = self._channel.recv(_READ)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._hears = False
            return False
        try:
            for frame in self._frames.feed(data):
                self._take(frame)
        except BrokenFrames as broken:
            self.seen.broken = str(broken)
            self._hears = False
            self._kill()
        return self._hears

    def _take(self, frame: Frame) -> None:
        if frame.kind in LAST:
            self.seen.last, self._hears = frame, False
            self._kill_at = min(self._kill_at, time.monotonic() + _LINGER)
        elif frame.body is not None:
            self._terms.on_message(frame.body)
