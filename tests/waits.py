"""Finds waits without a limit in Python source, by what a call looks like.

A name says little (`.get` is a dict's, a queue's and pynetbox's), so the shape of the call decides:

- `join`, `wait`, `result`, `exception`, `acquire`, `communicate` of a thread, process, future, event or lock wait for
  ever exactly when they are called without an argument, or with None or True in its place; a string's `join` always
  has an argument, and is none of these.
- `get` without an argument can be a queue's, but a context variable's or a client's as well: it counts in files that
  import a module which has queues.
- A connection's `recv()` and a socket's `accept()` have no argument for time; a socket's `recv(n)` is bounded by its
  timeout, and sockets are watched by a rule of their own.
- `subprocess.run` and its like need a `timeout`; leaving a `with` of a `Popen` or of a pool waits as `wait()` does.
- `select` without a time, `waitpid` and `waitid` without WNOHANG, `sigwait`, `pause` and `input` wait by nature.

A `with lock:` is left alone: what is held for a moment cannot be told from what is held for long.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

WAITING: Final = {"join", "wait", "result", "exception", "acquire", "communicate"}
WITHOUT_TIME: Final = {"recv", "recv_bytes", "accept"}
RUN: Final = {"run", "call", "check_call", "check_output"}
BY_NATURE: Final = {"sigwait", "sigwaitinfo", "pause"}
POOLS: Final = {"Popen", "ThreadPoolExecutor", "ProcessPoolExecutor"}
QUEUES: Final = {"queue", "multiprocessing", "asyncio", "concurrent"}
TIMED: Final = {"as_completed": 2, "wait_for": 2}
"""Functions that wait for what they are given, and the number of arguments of which the last is the time."""


def endless(tree: ast.Module) -> list[int]:
    """The lines on which something waits without a limit."""
    imported = {name.split(".")[0] for node in ast.walk(tree) for name in _imports(node)}
    return sorted({line for node in ast.walk(tree) for line in _endless(node, imported)})


def _imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def _endless(node: ast.AST, imported: set[str]) -> Iterator[int]:
    if isinstance(node, ast.With | ast.AsyncWith):
        for item in node.items:
            if isinstance(item.context_expr, ast.Call) and _name(item.context_expr)[1] in POOLS:
                yield item.context_expr.lineno
    if isinstance(node, ast.Call) and _waits(node, imported):
        yield node.lineno


def _waits(call: ast.Call, imported: set[str]) -> bool:
    owner, name = _name(call)
    if owner == "subprocess" and name in RUN:
        return not _has_time(call, 99)
    if owner == "os" and name in ("wait", "waitpid", "waitid", "wait3", "wait4"):
        return "WNOHANG" not in ast.unparse(call)
    if owner == "select" and name == "select":
        return not _has_time(call, 4)
    if (owner == "signal" and name in BY_NATURE) or (owner is None and name == "input"):
        return True
    if name in TIMED or (name == "wait" and owner in ("futures", "connection")):
        return not _has_time(call, TIMED.get(name, 2))
    if owner is None:  # a plain function of that name is not a thing that waits
        return False
    if name == "poll":  # of a Popen it returns at once
        return "select" in imported and owner != "select" and not call.args and not call.keywords
    if name in WAITING or name == "select" or (name == "get" and imported & QUEUES):
        return not _is_given(call)
    return name in WITHOUT_TIME and not call.args and not call.keywords


def _name(call: ast.Call) -> tuple[str | None, str]:
    """Whose function is called, by its last name (empty where that is no name), and what it is called."""
    if isinstance(call.func, ast.Attribute):
        owner = call.func.value
        last = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
        return last, call.func.attr
    return None, getattr(call.func, "id", "")


def _has_time(call: ast.Call, position: int) -> bool:
    """Whether a time is given, by name or as the argument at this position (from 1)."""
    given = [word.value for word in call.keywords if word.arg in ("timeout", None)]
    given += call.args[position - 1 : position]
    return any(not _is_nothing(value) for value in given)


def _is_given(call: ast.Call) -> bool:
    """Whether anything is given that can be a limit: neither None, nor just `block=True`."""
    values = call.args + [word.value for word in call.keywords if word.arg not in ("block", "blocking")]
    never = [word for word in call.keywords if word.arg in ("block", "blocking") and _is(word.value, False)]
    return bool(never) or any(not _is_nothing(value) and not _is(value, True) for value in values)


def _is_nothing(value: ast.expr) -> bool:
    return _is(value, None)


def _is(value: ast.expr, what: bool | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is what
