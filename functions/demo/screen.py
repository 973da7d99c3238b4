"""How the demonstration looks: a live table at a terminal, a line for each event elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from functions.cli.show import grid, result_text
from functions.demo.rounds import Phase, Request, Round
from infra.sandbox.messaging import DEAD_LETTERS, OUTCOMES, REQUESTS, REQUESTS_PUSH

type Statistics = Mapping[str, Mapping[str, Mapping[str, int]]]


class Screen(Protocol):
    """Where a round is shown, for the time of a `with` block."""

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; what is shown stays."""
        ...

    def changed(self, request: Request, what: str) -> None:
        """Something that happened to a request: `outcome`, or a step."""
        ...

    def counted(self, statistics: Statistics) -> None:
        """The broker's counts of this moment."""
        ...


def screen_for(console: Console, round_: Round, title: str, clock: Callable[[], float] = time.monotonic) -> Screen:
    """The live table where `console` is a terminal, else lines."""
    return LiveTable(console, round_, title, clock) if console.is_terminal else Lines(console, round_, title, clock)


class LiveTable:
    """A table that is drawn four times a second."""

    def __init__(self, console: Console, round_: Round, title: str, clock: Callable[[], float]) -> None:
        self._round, self._title, self._clock = round_, title, clock
        self._statistics: Statistics = {}
        self._live = Live(console=console, get_renderable=self._draw, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.refresh()
        self._live.stop()

    def changed(self, request: Request, what: str) -> None:
        """The next drawing shows it."""

    def counted(self, statistics: Statistics) -> None:
        self._statistics = statistics

    def _draw(self) -> RenderableType:
        parts: list[RenderableType] = [Text(self._title, style="bold"), table(self._round, self._clock())]
        if self._statistics:
            parts.append(Text(broker_line(self._statistics), style="dim"))
        return Group(*parts)


class Lines:
    """A line for each request, start of a run and outcome: for logs and pipes."""

    def __init__(self, console: Console, round_: Round, title: str, clock: Callable[[], float]) -> None:
        self._console, self._round, self._title, self._clock = console, round_, title, clock
        self._statistics: Statistics = {}

    def __enter__(self) -> Self:
        self._console.print(self._title)
        for request in self._round.requests:
            self._console.print(f"  {request.cast.name}: requested ({request.cast.shape})")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._statistics:
            self._console.print(broker_line(self._statistics))

    def changed(self, request: Request, what: str) -> None:
        after = f"{self._clock() - request.asked_at:5.1f} s  {request.cast.name}:"
        if what == "outcome":
            told = request.outcomes[-1]
            text = f"{told['result']} after {told['duration_s']:.1f} s, {told['written']} objects written"
            self._console.print(f"  {after} attempt {told['attempt']} {text}{_because(told)}")
        elif what == "requested":
            self._console.print(f"  {after} attempt {request.attempt} begins")
        elif what == "planned":
            self._console.print(f"  {after} {request.progress} written so far")

    def counted(self, statistics: Statistics) -> None:
        self._statistics = statistics


def table(round_: Round, now: float) -> RenderableType:
    """The requests of a round, as they are at `now`."""
    rows = []
    for request in round_.requests:
        final = request.final
        state = result_text(final["result"]) if final else Text(request.phase.value, style=_style(request.phase))
        elapsed = (request.ended_at or now) - request.asked_at
        rows.append(
            (
                Text(request.cast.name, style="bold"),
                request.cast.shape,
                request.attempt,
                f"{elapsed:5.1f} s",
                state,
                request.progress,
            )
        )
    parts: list[RenderableType] = [grid(("Fabric", "Shape", "Run", "Elapsed", "State", "Progress"), rows)]
    failed = [request for request in round_.requests if request.final and request.final["error"]]
    parts += [Text(f"{request.cast.name}{_because(request.outcomes[-1])}", style="red") for request in failed]
    return Group(*parts)


def broker_line(statistics: Statistics) -> str:
    """What the broker counted, in a line."""
    topics, requests = statistics["topics"], statistics["subscriptions"][REQUESTS_PUSH]
    return (
        f"broker: {topics[REQUESTS]['published']} requests published, {requests['outstanding']} at the function, "
        f"{requests['backlog'] - requests['outstanding']} waiting; {topics[OUTCOMES]['published']} outcomes, "
        f"{topics[DEAD_LETTERS]['published']} dead letters"
    )


def _because(told: Mapping[str, Any]) -> str:
    if error := told["error"]:
        return f": {error['text']} [{error['code']}] — {error['hint']}"
    return f": {'; '.join(told['reasons'][:3])}" if told["reasons"] else ""


def _style(phase: Phase) -> str:
    return "dim" if phase is Phase.QUEUED else "cyan"
