"""The process that forks children: it loaded what they need, has no threads, and ends with the one who started it."""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import importlib
import logging
import os
import resource
import selectors
import signal
import socket
import struct
import sys
import threading
from collections.abc import Sequence
from typing import Final, NoReturn

from infra import child

log = logging.getLogger(__name__)

NUMBER: Final = struct.Struct("!q")
"""What the server says of a child: its process id (negative: the errno of a failed fork), then its wait status."""

BOOT: Final = (
    "import json, socket, sys; control = socket.socket(fileno=int(sys.argv[1]));"
    " told = json.loads(control.recv(1 << 20)); sys.path[:] = told.pop('path');"
    " from infra.forkserver import serve; serve(control, **told)"
)
"""The program of the server: its import path comes over `control`, and no main module is loaded a second time."""

_PR_SET_CHILD_SUBREAPER: Final = 36  # prctl(2)
_LOOK_SECONDS: Final = 2.0  # how often to see whether the parent is there, beside its socket


def serve(control: socket.socket, parent: int, preload: Sequence[str]) -> NoReturn:
    """Fork a child for each request on `control`, until that closes or the process `parent` is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to pass on
    # A signal that came before the child could hear it must not be lost; the server itself ends with its parent.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # what a child was given must not get onto a disk
    faulthandler.enable()
    _load(preload)
    # What the work started may outlive it: it then comes to us, not to a first process that may leave zombies.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _Server(control, parent).run()
    os._exit(0)


def _load(preload: Sequence[str]) -> None:
    for name in preload:
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001  # reason: the work that needs it will meet it, and say so
            log.warning("the fork server could not load %s: %s: %s", name, type(error).__name__, error)
    if threading.active_count() > 1:
        names = ", ".join(thread.name for thread in threading.enumerate())
        log.warning("a preloaded module started threads (%s): forking may now deadlock; do not preload it", names)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a killed child's last lines count most
    gc.collect()
    gc.freeze()  # a collection in a child would else touch, and so copy, every page of what was loaded


class _Server:
    """The children that live, each with the socket on which its parent hears of it."""

    def __init__(self, control: socket.socket, parent: int) -> None:
        self._control = control
        self._parent = parent
        self._children: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._woken, wake = socket.socketpair()
        for end in (self._woken, wake):
            end.setblocking(False)
        self._wake = wake
        signal.signal(signal.SIGCHLD, lambda number, frame: None)  # only its wake-up is wanted
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        self._selector.register(control, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)

    def run(self) -> None:
        """Serve until the parent is gone; then end every child."""
        while os.getppid() == self._parent:
            for key, _ in self._selector.select(_LOOK_SECONDS):
                if key.fileobj is self._woken:
                    self._woken.recv(4096)
                elif key.fileobj is not self._control:
                    self._abandon(key.data)
                elif not self._fork():
                    break
            else:
                self._reap()
                continue
            break
        for pid in self._children:
            end_group(pid)

    def _fork(self) -> bool:
        """Fork a child for the next request; whether the parent is still there."""
        asked, fds, _, _ = socket.recv_fds(self._control, 1, 2, socket.MSG_CMSG_CLOEXEC)
        if not asked:
            return False
        if len(fds) < 2:  # this process may open no more
            for fd in fds:
                os.close(fd)
            return True
        channel, status = (socket.socket(fileno=fd) for fd in fds)
        server = os.getpid()
        with channel:
            try:
                pid = os.fork()
            except OSError as error:
                _tell(status, -(error.errno or 1))
                status.close()
                return True
            if pid == 0:
                self._become_child(channel, status, server)
        self._children[pid] = status
        self._selector.register(status, selectors.EVENT_READ, pid)
        _tell(status, pid)
        return True

    def _become_child(self, channel: socket.socket, status: socket.socket, server: int) -> NoReturn:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._selector.close()
            for other in (self._control, self._woken, self._wake, status, *self._children.values()):
                other.close()
            child.live(channel, server)
        finally:
            os._exit(1)

    def _abandon(self, pid: int) -> None:
        """The parent of this child listens no more."""
        self._selector.unregister(self._children[pid])
        end_group(pid)

    def _reap(self) -> None:
        """Tell of every child that ended, and end what it left in its group."""
        while True:
            try:
                seen = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if seen is None:
                return
            if seen.si_pid in self._children:
                end_group(seen.si_pid)  # before it is reaped: until then nobody else can have its number
            _, code = os.waitpid(seen.si_pid, os.WNOHANG)
            if status := self._children.pop(seen.si_pid, None):
                if status.fileno() in self._selector.get_map():
                    self._selector.unregister(status)
                _tell(status, code)
                status.close()


def end_group(pid: int) -> None:
    """End a child and what it started, at once."""
    for end in (os.killpg, os.kill):  # the group is there a moment after the child
        try:
            end(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _tell(status: socket.socket, number: int) -> None:
    try:
        status.sendall(NUMBER.pack(number))
    except OSError:
        return  # the parent listens no more
