"""What runs in a supervised child: the work in its outermost frame, under its memory limit, told how it ended."""

from __future__ import annotations

import ctypes
import importlib
import os
import resource
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn

from infra.frames import MOST_BYTES, Frame, Frames, Kind, TooLarge
from infra.redaction import redact
from infra.stopping import Stopped

type Send = Callable[[Mapping[str, Any]], None]
type Target = Callable[[Mapping[str, Any], Send], Mapping[str, Any]]
"""The work: it gets its argument and a way to send messages, and returns its result."""

_PR_SET_PDEATHSIG: Final = 1  # prctl(2)
_READ: Final = 64 * 1024
_NO_MEMORY: Final = Frame(Kind.OUT_OF_MEMORY, None, "MemoryError").encode("no memory")

_libc = ctypes.CDLL(None, use_errno=True)


def live(channel: socket.socket, server: int) -> NoReturn:
    """The whole life of a child, from the fork to its end; `server` is the process that forked it."""
    code = 1
    try:
        os.setsid()  # one group with all that the work starts: what ends the child ends them
        voice = _Voice(channel)
        signal.signal(signal.SIGTERM, voice.interrupt)
        try:
            last = _work(channel, voice, server)
        except Stopped as stopped:  # it came in the moment between the work's end and the ear's
            last = _last(Kind.STOPPED, stopped)
        except MemoryError:  # not even enough to tell more
            last = _NO_MEMORY
        if last is not None:
            voice.say(last)
            code = 0
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    finally:
        # Threads that never end, and what was registered for the exit, must not keep the child.
        os._exit(code)


def _work(channel: socket.socket, voice: _Voice, server: int) -> bytes | None:
    """The last frame of this child; None when the parent went away before it asked for anything."""
    result: Mapping[str, Any] | None = None
    try:
        # SIGTERM was held back since before the fork: from here on it meets our handler.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        _end_with(server)
        ask = _read(channel)
        if ask is None:
            return None
        _limit_memory(ask["memory"])
        result = _mapping(_target(ask["target"])(ask["argument"], voice.send))
        voice.deaf = True
        return Frame(Kind.STOPPED if voice.interrupted else Kind.RETURNED, result).encode("the result")
    except BaseException as error:  # noqa: BLE001  # reason: whatever the work raises, the parent is told of it
        voice.deaf = True
        if _lacks_memory(error):
            _lift_limit()
            error.__traceback__ = None  # its frames hold what filled the memory
            return _last(Kind.OUT_OF_MEMORY, error)
        if voice.interrupted:
            # The signal may have come between the work's return and this frame.
            return _last(Kind.STOPPED, error, result if isinstance(error, Stopped) else None)
        return _last(Kind.RAISED, error)


def _last(kind: Kind, error: BaseException, result: Mapping[str, Any] | None = None) -> bytes:
    text = redact("".join(traceback.format_exception_only(error)).strip())
    frame = Frame(kind, None, text, redact("".join(traceback.format_exception(error))))
    try:
        return Frame(kind, result, frame.text, frame.trace).encode("the result")
    except (TypeError, ValueError):
        return frame.encode("the error")


def _mapping(result: object) -> Mapping[str, Any]:
    if not isinstance(result, Mapping):
        raise TypeError(f"the work returned a {type(result).__name__}, and must return a mapping of JSON values")
    return result


def _target(name: str) -> Target:
    module, _, function = name.partition(":")
    target: Target = getattr(importlib.import_module(module), function)
    return target


def _read(channel: socket.socket) -> Mapping[str, Any] | None:
    frames = Frames()
    while data := channel.recv(_READ):
        for frame in frames.feed(data):
            return frame.body
    return None


class _Voice:
    """What a child says. A frame once begun is sent to its end: an interruption waits for it."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._lock = threading.Lock()
        self._messages = 0
        self._speaking = False
        self._told = False
        self.interrupted = False  # whether the work met `Stopped`
        self.deaf = False  # whether it is over, so that nothing may interrupt the last frame

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message to the parent, from any thread; raises `TooLarge` when that would be more than 8 MiB in all.

        Waits while the parent does not read, which it does until the wall.
        """
        frame = Frame(Kind.MESSAGE, _mapping(message)).encode("a message")
        with self._lock:
            self._messages += len(frame)
            if self._messages > MOST_BYTES:
                raise TooLarge(f"the messages of this run have more than {MOST_BYTES} bytes: say less")
        self.say(frame)

    def say(self, frame: bytes) -> None:
        """Send a frame to the parent."""
        if threading.current_thread() is not threading.main_thread():
            with self._lock:
                self._channel.sendall(frame)
            return
        # The handler runs in this thread: a frame that it cut in two would end the whole conversation.
        self._speaking = True
        try:
            with self._lock:
                self._channel.sendall(frame)
        finally:
            self._speaking = False
        self._stop_if_told()

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """The handler of SIGTERM: raises `Stopped` in the main thread, once."""
        if self._told or self.deaf:
            return
        self._told = True
        if not self._speaking:
            self._stop_if_told()

    def _stop_if_told(self) -> None:
        if self._told and not self.interrupted and not self.deaf:
            self.interrupted = True
            raise Stopped("this process was told to end (SIGTERM)")


# Memory


def _limit_memory(more: int | None) -> None:
    """Let this process take `more` bytes beyond what it has from the fork.

    RLIMIT_DATA, not RLIMIT_AS: it counts the private writable memory (Linux 4.7 and newer), which is what fills an
    instance, and neither mapped libraries nor what allocators and stacks only reserve; so it can be set near the
    truth. A thread counts with its whole stack. What is over it gets ENOMEM, in Python a MemoryError. The hard limit
    stays, so that a child that met the soft one can still say so.
    """
    if more is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        soft = _private_bytes() + more
        resource.setrlimit(resource.RLIMIT_DATA, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _lift_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def _private_bytes() -> int:
    """What RLIMIT_DATA counts already (proc_pid_status(5), VmData); 0 where nothing tells."""
    for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0


def _lacks_memory(error: BaseException | None) -> bool:
    """Whether a MemoryError is at the root of an error."""
    seen = 0
    while error is not None and seen < 100:
        if isinstance(error, MemoryError):
            return True
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False


def _end_with(server: int) -> None:
    """Let the kernel end this process when its fork server dies, for then nobody could tell its parent how it ends."""
    if _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "this process could not be bound to the life of its fork server")
    if os.getppid() != server:
        os._exit(1)  # it died before
