"""Arguments and options that several commands take."""

from __future__ import annotations

from typing import Annotated

import typer

from functions.fabric import valid_name


def fabric_name(name: str) -> str:
    """The name of a fabric as it was given; raises `BadParameter` where it cannot be one."""
    if not valid_name(name):
        raise typer.BadParameter(f"{name!r} is not a lower-case slug of at most 16 characters")
    return name


Name = Annotated[str, typer.Argument(callback=fabric_name, help="The fabric's name.", metavar="NAME")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Seconds = Annotated[
    float | None, typer.Option(min=1.0, max=3600.0, metavar="S", help="Seconds to take (FABRIC_SYNC_DEADLINE_S).")
]
