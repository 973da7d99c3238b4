"""The command `tick`: the scheduler's function, here."""

from __future__ import annotations

import json
import math
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from functions.cli.ends import Exit
from functions.cli.options import AsJson


def tick(
    every: Annotated[
        str | None,
        typer.Option("--every", metavar="SECONDS", help="So often (60 or 60s), until Ctrl-C."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Request what is due: what the scheduler's function does, once or again and again.

    Exit code 1 when not every fabric could be looked at and requested.
    """
    from functions.cli.surroundings import settings_here
    from functions.ticks import Ticks
    from infra.deadline import Deadline

    length = _seconds(every)
    settings = settings_here(needs=("project|broker_url",), quiet=as_json)
    ticks = Ticks(settings)
    whole = True
    try:
        while True:
            deadline = settings.deadline()
            report = ticks.tick(datetime.now(UTC), deadline)
            whole = report.whole
            _show(report.as_dict(), as_json)
            if length is None:
                break
            # By the clock, not by how long a tick takes: so each looks at its own share of the time.
            left = (math.floor(time.time() / length) + 1) * length - time.time()
            Deadline.after(left + 1).pause(left)
    except KeyboardInterrupt:
        return
    finally:
        ticks.close()
    raise typer.Exit(Exit.SUCCEEDED if whole else Exit.FAILED)


def _show(told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(told))
        return
    skipped = ", ".join(f"{count} {why}" for why, count in told["skipped"].items()) or "none"
    line = f"{told['at'][11:19]} {told['fabrics']} fabrics, {told['due']} due, {told['published']} requested"
    typer.echo(f"{line}, {told['failed']} failed, {told['late']} late; not due: {skipped}")
    for name, why in told["not_configured"].items():
        typer.echo(f"  {name}: {why}", err=True)
    if told["error"]:
        typer.echo(f"error: {told['error']['text']}\nhint: {told['error']['hint']}", err=True)


def _seconds(text: str | None) -> int | None:
    if text is None:
        return None
    digits = text.removesuffix("s")
    if not digits.isdecimal() or not 10 <= int(digits) <= 3600:
        raise typer.BadParameter(f"{text!r} is not a number of seconds from 10 to 3600", param_hint="--every")
    return int(digits)
