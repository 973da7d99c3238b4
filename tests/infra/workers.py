"""Work for supervised children: well-behaved, slow, deaf, greedy, broken."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from infra.child import Send
from infra.stopping import Stopped

type Given = Mapping[str, Any]


def echo(given: Given, send: Send) -> Given:
    return given


def first_line(given: Given, send: Send) -> Given:
    return {"at": time.monotonic(), "pid": os.getpid()}


def describe(given: Given, send: Send) -> Given:
    """What a child sees of the world it is in."""
    modules = sorted({name.split(".")[0] for name in sys.modules})
    return {
        "pid": os.getpid(),
        "group": os.getpgrp(),
        "parent": os.getppid(),
        "modules": modules,
        "main": str(getattr(sys.modules["__main__"], "__file__", None)),
        "file": __file__,
        "path": sys.path,
        "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208
        "threads": threading.active_count(),
    }


def steps(given: Given, send: Send) -> Given:
    for number in range(given["count"]):
        send({"step": number, "pid": os.getpid()})
        time.sleep(given.get("pause", 0))
    return {"steps": given["count"]}


def steps_of_threads(given: Given, send: Send) -> Given:
    def speak(name: int) -> None:
        for number in range(given["count"]):
            send({"thread": name, "step": number, "filler": "x" * 2000})

    threads = [threading.Thread(target=speak, args=(name,)) for name in range(given["threads"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {}


def large(given: Given, send: Send) -> Given:
    return {"text": "x" * given["bytes"]}


def flood(given: Given, send: Send) -> Given:
    while True:
        send({"text": "x" * 100_000})


def garbage(given: Given, send: Send) -> Given:
    """Writes what is no frame to the way to the parent."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):  # noqa: PTH115
                while True:
                    os.write(int(name), bytes.fromhex(given["bytes"]) * 1000)
        except OSError:
            continue
    return {}


def no_mapping(given: Given, send: Send) -> Any:
    return given["value"]


def no_json(given: Given, send: Send) -> Given:
    return {"value": object()}


def fail(given: Given, send: Send) -> Given:
    raise ValueError(given["text"])


def fail_at_exit(given: Given, send: Send) -> Given:
    sys.exit(given["code"])


def unprintable(given: Given, send: Send) -> Given:
    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    raise Odd


def leave(given: Given, send: Send) -> Given:
    os._exit(given["code"])


def leave_by_number(given: Given, send: Send) -> Given:
    os._exit(given["number"])


def kill_itself(given: Given, send: Send) -> Given:
    os.kill(os.getpid(), given["signal"])
    time.sleep(60)
    return {}


def crash(given: Given, send: Send) -> Given:
    ctypes.string_at(0)
    return {}


def spin(given: Given, send: Send) -> Given:
    send({"pid": os.getpid()})
    while True:
        pass


def sleep(given: Given, send: Send) -> Given:
    send({"pid": os.getpid()})
    time.sleep(given.get("seconds", 600))
    return {"slept": True}


def deadlock(given: Given, send: Send) -> Given:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
    return {}


def hold_the_interpreter(given: Given, send: Send) -> Given:
    """Waits in C with the interpreter's lock held: no Python code of this process runs any more."""
    ctypes.PyDLL(None).sleep(600)
    return {}


def print_endlessly(given: Given, send: Send) -> Given:
    while True:
        print("noise " * 100)


def print_and_hang(given: Given, send: Send) -> Given:
    print(given["text"])
    time.sleep(600)
    return {}


def eat_processor_threads(given: Given, send: Send) -> Given:
    """Spins in several threads, none of which waits for anything."""
    for _ in range(4):
        threading.Thread(target=spin, args=(given, send)).start()
    return spin(given, send)


def leave_a_thread(given: Given, send: Send) -> Given:
    threading.Thread(target=time.sleep, args=(600,), daemon=False).start()
    return {"left": "a thread"}


def ignore_sigterm(given: Given, send: Send) -> Given:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    send({"pid": os.getpid()})
    time.sleep(600)
    return {}


def heed_sigterm_as_other_programs_do(given: Given, send: Send) -> Given:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    send({"pid": os.getpid()})
    time.sleep(600)
    return {}


def grandchildren(given: Given, send: Send) -> Given:
    """Starts programs and forks, tells of them, and waits for ever or returns."""
    program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    fork = os.fork()
    if fork == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(600)
    send({"pids": [os.getpid(), program.pid, fork]})
    if given["wait"]:
        time.sleep(600)
    return {}


def eat(given: Given, send: Send) -> Given:
    """Takes memory until there is none."""
    held = []
    while True:
        held.append(bytearray(8 * 1024 * 1024))
        if "most" in given and len(held) * 8 * 1024 * 1024 > given["most"]:
            return {"held": len(held)}


def eat_in_small_pieces(given: Given, send: Send) -> Given:
    held: list[object] = []
    while True:
        held = [held, bytearray(200)]


def eat_in_a_thread(given: Given, send: Send) -> Given:
    with ThreadPoolExecutor(2) as pool:
        return pool.submit(eat, given, send).result()


def eat_and_wrap(given: Given, send: Send) -> Given:
    try:
        return eat(given, send)
    except MemoryError as error:
        raise RuntimeError("the work failed") from error


def report_when_stopped(given: Given, send: Send) -> Given:
    """Waits in a blocked recv; once stopped, reports what it did."""
    ours, _theirs = socket.socketpair()
    try:
        send({"pid": os.getpid()})
        while True:
            try:
                ours.recv(1)
            except Exception as error:
                send({"swallowed": str(error)})
    except Stopped:
        send({"last": "words"})
        return {"done": 7}


def fail_when_stopped(given: Given, send: Send) -> Given:
    try:
        send({"pid": os.getpid()})
        time.sleep(600)
    finally:
        raise ValueError("while tidying up")


def be_stopped_again_and_again(given: Given, send: Send) -> Given:
    stops, said = 0, False
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            if not said:
                said = True
                send({"pid": os.getpid()})
            time.sleep(0.05)
        except Stopped:
            stops, until = stops + 1, time.monotonic() + 0.5
        if stops:
            os.kill(os.getpid(), signal.SIGTERM)
    return {"stops": stops}


def send_a_large_message(given: Given, send: Send) -> Given:
    """Sends more than the way to the parent holds."""
    send({"pid": os.getpid()})
    send({"filler": "x" * 7_000_000})
    return {"sent": True}


def send_until_stopped(given: Given, send: Send) -> Given:
    """Is always within a frame when the signal comes."""
    sent = 0
    try:
        while True:
            send({"filler": "x" * 2000})
            sent += 1
            time.sleep(0.0005)
    except Stopped:
        return {"sent": sent}


def leave_a_mark(given: Given, send: Send) -> Given:
    Path(given["file"]).write_text("was here")
    return {}
