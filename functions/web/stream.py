"""Tells a run as it goes, as server-sent events: its progress, then its end. A run goes on though nobody listens."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from werkzeug.wrappers import Response

from functions.web.progress import Progress
from infra.deadline import Deadline

QUIET_SECONDS: Final = 5.0
"""After how long without a word a comment is sent, so that nobody between takes the connection for dead."""

type Step = Callable[[Mapping[str, Any]], None]
type Told = tuple[str, Mapping[str, Any]]
"""An event: its name and its data."""


def streamed(run: Callable[[Step], Told], deadline: Deadline) -> Response:
    """The answer that tells `run` while it runs in a thread beside: events `progress`, and what it returns at last."""
    heard: queue.SimpleQueue[Told | None] = queue.SimpleQueue()
    progress = Progress()

    def hear(step: Mapping[str, Any]) -> None:
        if (told := progress.hear(step)) is not None:
            heard.put(("progress", told))

    def work() -> None:
        try:
            heard.put(run(hear))
        finally:
            heard.put(None)

    thread = threading.Thread(target=work, name="streamed run", daemon=True)

    def events() -> Iterator[bytes]:
        thread.start()
        try:
            yield b": a run\n\n"
            while True:
                try:
                    told = heard.get(timeout=QUIET_SECONDS)
                except queue.Empty:
                    yield b": still running\n\n"
                    continue
                if told is None:
                    return
                yield event(*told)
        finally:
            # Whoever listened may be gone; the processor is taken away with the answer, so the run is waited for.
            thread.join(timeout=max(0.0, deadline.reporting().left()))

    return Response(events(), content_type="text/event-stream; charset=utf-8", headers={"X-Accel-Buffering": "no"})


def event(name: str, data: Mapping[str, Any]) -> bytes:
    """One server-sent event; JSON has no bare line ends, so it is one line of data."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False, default=str)}\n\n".encode()
