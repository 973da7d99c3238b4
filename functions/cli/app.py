"""The commands of `fabric-sync` that work on a NetBox and its fabrics. What is heavy is imported by who needs it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from functions.cli.clock import tick
from functions.cli.ends import EXIT_CODES, Exit, TellingGroup, exit_of
from functions.cli.fleet import fabrics, release, status
from functions.cli.look import doctor, test, why
from functions.cli.messages import dead_letters, events
from functions.cli.options import AsJson, Name, Seconds
from functions.cli.runs import ends_in, run_of
from functions.cli.sandbox import sandbox, simulate

if TYPE_CHECKING:
    from functions.run import Run
    from infra.settings import Settings

app = typer.Typer(
    cls=TellingGroup,
    help=f"Keeps NetBox true to Hedgehog fabrics.\n\n{EXIT_CODES}",
    epilog="Settings come from the environment (NETBOX_URL, NETBOX_TOKEN, FABRIC_SYNC_SECRETS, …: see `settings`); "
    "where NETBOX_URL is not set, from the sandbox that runs here. FABRIC_SYNC_LOG_LEVEL=INFO shows the log.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(fabrics, name="fabrics")
app.add_typer(events, name="events")
app.add_typer(dead_letters, name="dead-letters")
app.add_typer(sandbox, name="sandbox")
app.command(epilog=EXIT_CODES)(status)
app.command(epilog=EXIT_CODES)(release)
app.command(epilog=EXIT_CODES)(tick)
app.command(epilog=EXIT_CODES)(why)
app.command(epilog=EXIT_CODES)(test)
app.command(epilog=EXIT_CODES)(doctor)
app.command()(simulate)


@app.command()
def bootstrap() -> None:
    """Make NetBox ready: cluster type, custom fields, tags. Running it again changes nothing."""
    from functions.bootstrap import bootstrap as steps
    from functions.cli import show
    from functions.cli.surroundings import open_netbox, settings_here

    settings = settings_here()
    with open_netbox(settings) as netbox:
        show.console().print(show.steps(steps(netbox, settings.page_url)))


@app.command(epilog=EXIT_CODES)
def plan(
    name: Name,
    as_json: AsJson = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", dir_okay=False, metavar="FILE", help="Write the plan as JSON to a file, too."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show every row, not the first of each part.")] = False,
    deadline: Seconds = None,
) -> None:
    """Show what a sync would write, field by field, with a client that cannot write.

    The digest at the top is what `sync --plan` takes. Exit code 3 when the plan is incomplete.
    """
    from functions.cli import show, shown
    from functions.cli.surroundings import settings_here
    from functions.cli.watch import watched

    settings = settings_here(needs=("secrets",), quiet=as_json)
    with watched(name) as listen:
        told, left = _plan(settings, run_of(name, settings, ends_in(settings, deadline), listen))
    if "digest" in told:
        try:
            shown.keep(told)
        except (OSError, RuntimeError) as full:  # a RuntimeError where the user has no home
            typer.echo(f"the plan is not kept here, so what moves until it is applied cannot be told: {full}", err=True)
        if out:
            shown.write(out, told)
    if as_json:
        typer.echo(json.dumps(told, indent=2, default=str))
    else:
        view = show.plan(told, None if everything else show.MOST_ROWS) if "digest" in told else show.outcome(told)
        show.console().print(view)
    raise typer.Exit(left)


@app.command(epilog=EXIT_CODES)
def sync(
    name: Name,
    plan: Annotated[
        str | None,
        typer.Option(
            "--plan",
            metavar="DIGEST|FILE",
            help="Apply the plan that was shown (its digest, or its file), or nothing: refused when the world moved.",
        ),
    ] = None,
    as_json: AsJson = False,
    deadline: Seconds = None,
) -> None:
    """Sync one fabric into NetBox, here and now, under a hard deadline.

    The same run as the deployed function's; no outcome event is published.
    """
    from functions.cli import show, shown
    from functions.cli.surroundings import settings_here
    from functions.cli.watch import watched

    digest, operations = None, None
    if plan is not None:
        try:
            digest, operations = shown.agreed(name, plan)
        except shown.UnusablePlanError as unusable:
            raise typer.BadParameter(str(unusable), param_hint="--plan") from unusable
    settings = settings_here(needs=("secrets",), quiet=as_json)
    with watched(name) as listen:
        told, left = _sync(settings, run_of(name, settings, ends_in(settings, deadline), listen, digest), operations)
    if as_json:
        typer.echo(json.dumps(told, indent=2, default=str))
    else:
        show.console().print(show.outcome(told))
    raise typer.Exit(left)


@app.command("settings")
def show_settings() -> None:
    """Print the settings, secrets masked."""
    from functions.cli.surroundings import settings_here

    typer.echo(str(settings_here()))


def _sync(settings: Settings, run: Run, operations: Mapping[str, str] | None) -> tuple[dict[str, Any], Exit]:
    """The outcome as JSON; where a plan was refused, with what moved since it was shown (null where nobody knows)."""
    from functions.agreed import moved
    from functions.cli.surroundings import open_netbox
    from functions.errors import Code
    from functions.sync import sync as sync_fabric

    with open_netbox(settings, run.deadline) as netbox:
        outcome = sync_fabric(run, netbox)
    told = outcome.as_dict()
    if outcome.problem and outcome.problem.code is Code.PLAN_MOVED and run.facts.plan is not None:
        told["moved"] = None if operations is None else moved(operations, run.facts.plan.operations).as_dict()
    return told, exit_of(outcome.result)


def _plan(settings: Settings, run: Run) -> tuple[dict[str, Any], Exit]:
    """The plan as JSON; what stops it is told as the outcome of a sync would tell it."""
    from functions.cli.surroundings import open_reader
    from functions.planning import planned

    with open_reader(settings, run.deadline) as netbox:
        told, stopped = planned(run, netbox, settings)
    if stopped is not None:
        return told, exit_of(stopped.result)
    return told, Exit.INCOMPLETE if told["reasons"] else Exit.SUCCEEDED
