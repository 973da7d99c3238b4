"""The commands for the fabrics as a fleet: which there are, how they are, and what people decide about them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from functions.cli.ends import Exit
from functions.cli.options import AsJson, Name, fabric_name
from functions.fabric import Naming

fabrics = typer.Typer(help="The registry of fabrics: clusters of type Hedgehog Fabric in NetBox.", no_args_is_help=True)

_LOOK_EVERY = 2.0
"""Seconds between two looks of `status --watch`."""

_LENGTH = re.compile(r"([0-9]{1,5})([mhd])")
_RELEASE = re.compile(r"set fabric_release on the cluster to ([^\s;]+)")


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
    from functions.cli import show

    rows = _overviews(None, quiet=as_json)
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    columns = ("fabric", "site", "secret", "naming", "enabled", "interval_s", "url")
    show.console().print(show.grid(columns, [[row[name] for name in columns] for row in rows]))


@fabrics.command()
def suspend(
    name: Name,
    reason: Annotated[str, typer.Option(help="Why; people see it on the cluster.")],
    until: Annotated[str | None, typer.Option(help="Until when: 2026-12-24T18:00+01:00.", metavar="TIME")] = None,
    for_: Annotated[str | None, typer.Option("--for", help="For how long: 90m, 8h, 7d.", metavar="LENGTH")] = None,
    as_json: AsJson = False,
) -> None:
    """Let nothing sync a fabric for a time; then it goes on by itself."""
    end = _end(until, for_)
    custom = {"fabric_suspended_until": end.isoformat(timespec="seconds"), "fabric_suspend_reason": reason}
    _change(name, {"custom_fields": custom}, {"fabric": name, **custom}, as_json, f"{name} is suspended until {end}")


@fabrics.command()
def resume(name: Name, as_json: AsJson = False) -> None:
    """End a suspension now."""
    custom = {"fabric_suspended_until": None, "fabric_suspend_reason": ""}
    _change(name, {"custom_fields": custom}, {"fabric": name, **custom}, as_json, f"{name} is not suspended any more")


@fabrics.command()
def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take a fabric out of the registry. Its objects, and its cluster, stay in NetBox as they are.

    The cluster gets the type `Former Hedgehog Fabric`: nothing syncs it. With its old type it is a fabric again.
    """
    from functions import registry
    from functions.cli.surroundings import open_netbox, settings_here

    with open_netbox(settings_here(quiet=as_json)) as netbox:
        row = registry.find(netbox, name)
        if not yes and not as_json:
            typer.confirm(f"take {name} out of the registry? Its objects stay in NetBox as they are", abort=True)
        registry.retire(netbox, row)
    told = f"{name} is no fabric any more; its objects and its cluster stay in NetBox, and nobody keeps them true"
    typer.echo(json.dumps({"fabric": name, "removed": True, "objects": "left as they are"}) if as_json else told)


def status(
    name: Annotated[str | None, typer.Argument(help="One fabric; all where none is given.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again and again, until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show how each fabric is: status, connection, last success, what is next, and what went wrong."""
    from functions.cli import show

    rows = _overviews(name, quiet=as_json)
    if as_json:
        typer.echo(json.dumps(rows[0] if name else rows, indent=2))
        return
    console = show.console()
    if watch:
        _watch(name)
        return
    console.print(show.statuses(rows))
    if name:
        console.print(rows[0]["error"] or "no error", rows[0]["url"], sep="\n")


def release(name: Name, as_json: AsJson = False) -> None:
    """Let deletes pass that the last run held: sets fabric_release to the marks that it named."""
    from functions import registry
    from functions.cli.surroundings import open_netbox, settings_here
    from functions.standing import standing_of

    with open_netbox(settings_here(quiet=as_json)) as netbox:
        row = registry.find(netbox, name)
        marks = sorted(set(_RELEASE.findall(standing_of(row["custom_fields"]).error)))
        if marks:
            netbox.change(registry.PATH, row, {"custom_fields": {"fabric_release": " ".join(marks)}})
    if as_json:
        typer.echo(json.dumps({"fabric": name, "released": marks}))
    elif marks:
        typer.echo(f"{name}: the next run may let pass what is marked {' '.join(marks)}")
    else:
        typer.echo(f"the last run of {name} named nothing to release: look with `fabric-sync status {name}`", err=True)
    raise typer.Exit(Exit.SUCCEEDED if marks else Exit.FAILED)


def _overviews(name: str | None, *, quiet: bool) -> list[dict[str, Any]]:
    from functions import registry
    from functions.cli.surroundings import open_reader, settings_here
    from functions.overview import overview

    settings = settings_here(quiet=quiet)
    with open_reader(settings) as netbox:
        found = [registry.find(netbox, fabric_name(name))] if name else registry.every(netbox)
        tick = timedelta(seconds=settings.tick_s)
        return [overview(row, netbox.url, datetime.now(UTC), tick) for row in found]


def _watch(name: str | None) -> None:
    from rich.live import Live

    from functions.cli import show
    from infra.deadline import Deadline

    try:
        with Live(show.statuses(_overviews(name, quiet=True)), console=show.console(), auto_refresh=False) as live:
            while True:
                live.update(show.statuses(_overviews(name, quiet=True)), refresh=True)
                Deadline.after(_LOOK_EVERY + 1).pause(_LOOK_EVERY)
    except KeyboardInterrupt:
        return


def _change(name: str, fields: dict[str, Any], told: dict[str, Any], as_json: bool, text: str) -> None:
    from functions import registry
    from functions.cli.surroundings import open_netbox, settings_here

    with open_netbox(settings_here(quiet=as_json)) as netbox:
        netbox.change(registry.PATH, registry.find(netbox, name), fields)
    typer.echo(json.dumps(told) if as_json else text)


def _end(until: str | None, length: str | None) -> datetime:
    """When a suspension ends; it must be told, in one of two ways."""
    now = datetime.now(UTC)
    if (until is None) is (length is None):
        raise typer.BadParameter("give either --until TIME or --for LENGTH: a suspension has an end")
    if length is not None:
        found = _LENGTH.fullmatch(length)
        if found is None:
            raise typer.BadParameter(f"{length!r} is not a length such as 90m, 8h or 7d", param_hint="--for")
        return now + timedelta(minutes=int(found[1]) * {"m": 1, "h": 60, "d": 1440}[found[2]])
    try:
        end = datetime.fromisoformat(str(until))
    except ValueError:
        end = now
    if end.tzinfo is None or end <= now:
        raise typer.BadParameter(f"{until!r} is not a time to come, with its zone", param_hint="--until")
    return end.astimezone(UTC)
