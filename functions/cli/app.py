"""The commands of `fabric-sync` that work on a NetBox and its fabrics. What is heavy is imported by who needs it."""

from __future__ import annotations

import getpass
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from functions.cli.ends import EXIT_CODES, Exit, TellingGroup, exit_of
from functions.cli.sandbox import sandbox, simulate
from functions.fabric import Naming, valid_name

if TYPE_CHECKING:
    from functions.sync import Listener, Run
    from infra.deadline import Deadline
    from infra.netbox import Row
    from infra.settings import Settings

app = typer.Typer(
    cls=TellingGroup,
    help=f"Keeps NetBox true to Hedgehog fabrics.\n\n{EXIT_CODES}",
    epilog="Settings come from the environment (NETBOX_URL, NETBOX_TOKEN, FABRIC_SYNC_SECRETS, …: see `settings`); "
    "where NETBOX_URL is not set, from the sandbox that runs here. FABRIC_SYNC_LOG_LEVEL=INFO shows the log.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
fabrics = typer.Typer(help="The registry of fabrics: clusters of type Hedgehog Fabric in NetBox.", no_args_is_help=True)
app.add_typer(fabrics, name="fabrics")
app.add_typer(sandbox, name="sandbox")
app.command()(simulate)


def _fabric_name(name: str) -> str:
    if not valid_name(name):
        raise typer.BadParameter(f"{name!r} is not a lower-case slug of at most 16 characters")
    return name


Name = Annotated[str, typer.Argument(callback=_fabric_name, help="The fabric's name.", metavar="NAME")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Seconds = Annotated[
    float | None, typer.Option(min=1.0, max=3600.0, metavar="S", help="Seconds to take (FABRIC_SYNC_DEADLINE_S).")
]


@app.command()
def bootstrap() -> None:
    """Make NetBox ready: cluster type, custom fields, tags. Running it again changes nothing."""
    from functions.bootstrap import bootstrap as steps
    from functions.cli import show
    from functions.cli.surroundings import open_netbox, settings_here

    settings = settings_here()
    with open_netbox(settings) as netbox:
        show.console().print(show.steps(steps(netbox, settings.page_url)))


@fabrics.command("add")
def add_fabric(
    name: Name,
    site: Annotated[str, typer.Option(help="Slug of the site that its devices are created in.")],
    secret: Annotated[str, typer.Option(help="Name of the secret that holds its kubeconfig.")],
    naming: Annotated[Naming, typer.Option(help="How its devices are named in NetBox.")] = Naming.PLAIN,
    create_site: Annotated[bool, typer.Option("--create-site", help="Create the site where there is none.")] = False,
) -> None:
    """Register a fabric: a cluster in NetBox that names its site and its secret."""
    from functions import registry
    from functions.cli.surroundings import open_netbox, settings_here
    from functions.enrol import is_registered

    with open_netbox(settings_here()) as netbox:
        if is_registered(netbox, name):
            typer.echo(f"{name} is registered already: change it on its cluster in NetBox", err=True)
            raise typer.Exit(Exit.FAILED)
        if create_site and registry.ensure_site(netbox, site):
            typer.echo(f"created the site {site}")
        row = registry.add(netbox, name, site=site, secret=secret, naming=naming)
        typer.echo(f"registered {name}: {netbox.url}/virtualization/clusters/{row['id']}/")


@fabrics.command("list")
def list_fabrics(as_json: AsJson = False) -> None:
    """List the registered fabrics, with site, secret and naming."""
    from functions import registry
    from functions.cli import show
    from functions.cli.surroundings import open_reader, settings_here

    with open_reader(settings_here(quiet=as_json)) as netbox:
        rows = [_status(row, netbox.url) for row in registry.every(netbox)]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    columns = ("fabric", "site", "secret", "naming", "enabled", "url")
    show.console().print(show.grid(columns, [[row[name] for name in columns] for row in rows]))


@app.command()
def status(
    name: Annotated[str | None, typer.Argument(help="One fabric; all where none is given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what the last sync of each fabric came to, as it stands on its cluster in NetBox."""
    from functions import registry
    from functions.cli import show
    from functions.cli.surroundings import open_reader, settings_here

    with open_reader(settings_here(quiet=as_json)) as netbox:
        found = [registry.find(netbox, _fabric_name(name))] if name else registry.every(netbox)
        rows = [_status(row, netbox.url) for row in found]
    if as_json:
        typer.echo(json.dumps(rows[0] if name else rows, indent=2))
        return
    console = show.console()
    console.print(show.statuses(rows))
    if name:
        console.print(rows[0]["error"] or "no error", rows[0]["url"], sep="\n")


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
        told, left = _plan(settings, _run(name, settings, _ends(settings, deadline), listen))
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
        told, left = _sync(settings, _run(name, settings, _ends(settings, deadline), listen, digest), operations)
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


def _ends(settings: Settings, seconds: float | None) -> Deadline:
    from infra.deadline import Deadline

    seconds = seconds or settings.deadline_s
    return Deadline.after(seconds, reserve=min(settings.reserve_s, seconds / 5))


def _run(name: str, settings: Settings, deadline: Deadline, listen: Listener, plan: str | None = None) -> Run:
    from functions.events import SyncRequest
    from functions.sync import Run
    from infra.secrets import open_secrets

    id_ = str(uuid.uuid4())
    request = SyncRequest(name, id_, id_, trigger="cli", requested_by=getpass.getuser(), plan=plan)
    secrets = open_secrets(settings.secrets or "", settings.secret_prefix)
    return Run(request, secrets, deadline, settings.batch, listen=listen)


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


def _status(row: Row, url: str) -> dict[str, Any]:
    custom = row.get("custom_fields") or {}
    naming = custom.get("fabric_naming")
    return {
        "fabric": row["name"],
        "site": (row.get("scope") or {}).get("slug"),
        "secret": custom.get("fabric_secret"),
        "naming": naming["value"] if isinstance(naming, dict) else naming,
        "enabled": custom.get("fabric_enabled") is not False,
        "result": custom.get("fabric_result"),
        "since": custom.get("fabric_result_since"),
        "error": custom.get("fabric_error") or "",
        "url": f"{url}/virtualization/clusters/{row['id']}/",
    }
