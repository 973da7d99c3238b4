"""The commands of `fabric-sync` that work on a NetBox and its fabrics. What is heavy is imported by who needs it."""

from __future__ import annotations

import getpass
import json
import uuid
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


@app.command()
def bootstrap() -> None:
    """Make NetBox ready: cluster type, custom fields, tags. Running it again changes nothing."""
    from functions.bootstrap import bootstrap as steps
    from functions.cli import show
    from functions.cli.surroundings import open_netbox, settings_here

    with open_netbox(settings_here()) as netbox:
        show.console().print(show.steps(steps(netbox)))


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
def sync(
    name: Name,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be written, and write nothing.")] = False,
    as_json: AsJson = False,
    deadline: Annotated[
        float | None, typer.Option(min=1.0, max=3600.0, metavar="S", help="Seconds to take (FABRIC_SYNC_DEADLINE_S).")
    ] = None,
) -> None:
    """Sync one fabric into NetBox, here and now, under a hard deadline.

    The same run as the deployed function's; no outcome event is published.
    """
    from functions.cli.surroundings import settings_here
    from functions.cli.watch import watched
    from infra.deadline import Deadline

    settings = settings_here(needs=("secrets",), quiet=as_json)
    seconds = deadline or settings.deadline_s
    ends = Deadline.after(seconds, reserve=min(settings.reserve_s, seconds / 5))
    with watched(name) as listen:
        act = _plan if plan else _sync
        told, left = act(settings, _run(name, settings, ends, listen))
    _show(told, as_json, plan=plan)
    raise typer.Exit(left)


@app.command("settings")
def show_settings() -> None:
    """Print the settings, secrets masked."""
    from functions.cli.surroundings import settings_here

    typer.echo(str(settings_here()))


def _run(name: str, settings: Settings, deadline: Deadline, listen: Listener) -> Run:
    from functions.events import SyncRequest
    from functions.sync import Run
    from infra.secrets import open_secrets

    id_ = str(uuid.uuid4())
    request = SyncRequest(name, id_, id_, trigger="cli", requested_by=getpass.getuser())
    secrets = open_secrets(settings.secrets or "", settings.secret_prefix)
    return Run(request, secrets, deadline, settings.batch, listen=listen)


def _sync(settings: Settings, run: Run) -> tuple[dict[str, Any], Exit]:
    from functions.cli.surroundings import open_netbox
    from functions.sync import sync as sync_fabric

    with open_netbox(settings, run.deadline) as netbox:
        outcome = sync_fabric(run, netbox)
    return outcome.as_dict(), exit_of(outcome.result)


def _plan(settings: Settings, run: Run) -> tuple[dict[str, Any], Exit]:
    """The plan as JSON; what stops it is told as the outcome of a sync would tell it."""
    from datetime import UTC, datetime

    from functions.cli.preview import preview
    from functions.cli.surroundings import open_reader
    from functions.sync import EXPECTED, outcome_of

    started_at = datetime.now(UTC)
    with open_reader(settings, run.deadline) as netbox:
        try:
            planned = run.plan(netbox)
        except EXPECTED as error:
            run.stopped(error)
            planned = None
        if planned is None:
            outcome = outcome_of(run, started_at, netbox.requests)
            return outcome.as_dict(), exit_of(outcome.result)
    fabric, actual, plan = planned
    told = preview(fabric.name, plan, actual, run.facts)
    return told, Exit.INCOMPLETE if told["reasons"] else Exit.SUCCEEDED


def _show(told: dict[str, Any], as_json: bool, *, plan: bool) -> None:
    from functions.cli import show

    if as_json:
        typer.echo(json.dumps(told, indent=2, default=str))
    else:
        show.console().print(show.plan(told) if plan and "digest" in told else show.outcome(told))


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
