"""The rule of waits knows a wait without a limit when it sees one, and leaves what only looks like it alone."""

from __future__ import annotations

import ast

import pytest

from tests.waits import endless

ENDLESS = """
thread.join() | thread.join(None) | thread.join(timeout=None) | self._thread.join() | event.wait() | event.wait(None)
future.result() | future.exception() | pool.submit(work).result() | lock.acquire() | lock.acquire(True)
lock.acquire(blocking=True) | process.communicate() | connection.recv() | listener.accept() | Event().wait()
import queue; waiting.get() | import queue; waiting.get(True) | import queue; waiting.get(block=True, timeout=None)
subprocess.run(["x"]) | subprocess.check_output(["x"], text=True) | subprocess.run(["x"], timeout=None)
condition.wait_for(ready) | as_completed(futures) | concurrent.futures.wait(futures) | os.waitpid(pid, 0)
os.wait() | select.select(a, b, c) | selector.select() | selector.select(None) | signal.pause() | input()
import select; poll.poll()
"""

BOUNDED = """
", ".join(names) | name.join(parts) | thread.join(2) | thread.join(timeout=left) | event.wait(deadline.left())
found.get("name") | found.get("name", None) | request.get() | context.get()
import queue; waiting.get(timeout=left) | import queue; waiting.get(True, 2) | import queue; found.get("name")
import queue; waiting.get(False) | import queue; waiting.get(block=False) | lock.acquire(False)
lock.acquire(timeout=1) | lock.acquire(blocking=False) | future.result(timeout=left) | channel.recv(4096)
subprocess.run(["x"], timeout=9) | subprocess.run(["x"], **limits) | os.waitpid(pid, os.WNOHANG)
select.select(a, b, c, 1) | selector.select(2.0) | process.poll() | result() | as_completed(futures, 3)
condition.wait_for(ready, timeout=left) | import select; poll.poll(5) | import select; select.poll() | run(["x"])
"""


def examples(text: str) -> list[str]:
    return [part.strip() for line in text.strip().splitlines() for part in line.split(" | ")]


@pytest.mark.parametrize("line", examples(ENDLESS))
def test_this_waits_without_a_limit(line: str) -> None:
    assert endless(ast.parse(line)) == [1]


@pytest.mark.parametrize("block", ["subprocess.Popen(['x'])", "Popen(['x']) as one", "ThreadPoolExecutor(2) as pool"])
def test_leaving_this_block_waits_without_a_limit(block: str) -> None:
    assert endless(ast.parse(f"with {block}:\n    pass")) == [1]


@pytest.mark.parametrize("line", examples(BOUNDED))
def test_this_waits_not_at_all_or_not_for_ever(line: str) -> None:
    assert endless(ast.parse(line)) == []
