"""The commands that look closely and change nothing: why an object is as it is, a fabric's test, the doctor."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from functions.cli.ends import Exit
from functions.cli.options import AsJson, Name, Seconds

if TYPE_CHECKING:
    from functions.checkup import Check


def why(
    name: Name,
    wanted: Annotated[str, typer.Argument(help="A fabric_key or a part of one, or a name.", metavar="OBJECT")],
    as_json: AsJson = False,
    deadline: Seconds = None,
) -> None:
    """Show what the fabric wants of an object, what NetBox holds, what was last applied, and what comes of it."""
    from functions.cli import show
    from functions.cli.runs import ends_in, run_of
    from functions.cli.surroundings import open_reader, settings_here
    from functions.why import explained

    settings = settings_here(needs=("secrets",), quiet=as_json)
    run = run_of(name, settings, ends_in(settings, deadline), lambda step, facts: None)
    with open_reader(settings, run.deadline) as netbox:
        actual, plan = run.plan(netbox, run.find(netbox))
    records = run.facts.translation.records if run.facts.translation else ()
    told = explained(wanted, records, actual, plan)
    if as_json:
        typer.echo(json.dumps(told, indent=2, default=str))
    else:
        for one in told:
            rows = [(row["field"], row["wanted"], row["holds"], row["applied"]) for row in one["fields"]]
            title = f"{one['model']} {one['key']} (NetBox id {one['id'] or '-'}): {one['verdict']}"
            show.console().print(show.grid(("Field", "The fabric wants", "NetBox holds", "Last applied"), rows, title))
    if not told:
        typer.echo(f"nothing of {name} is called {wanted}", err=True)
    raise typer.Exit(Exit.SUCCEEDED if told else Exit.FAILED)


def test(name: Name, as_json: AsJson = False) -> None:
    """Test the way to a fabric: settings, secret, API server, kinds; nothing is synced, and nothing recorded."""
    from functions.checkup import check_fabric
    from functions.children import CHECKUP_SECONDS
    from functions.cli.surroundings import open_reader, settings_here
    from infra.deadline import Deadline
    from infra.secrets import open_secrets

    settings = settings_here(needs=("secrets",), quiet=as_json)
    deadline = Deadline.after(CHECKUP_SECONDS)
    secrets = open_secrets(settings.secrets or "", settings.secret_prefix)
    with open_reader(settings, deadline) as netbox:
        _tell(check_fabric(name, netbox, secrets, deadline), as_json)


def doctor(as_json: AsJson = False) -> None:
    """Look for everything around the fabrics that could be wrong, each with what to do."""
    from functions.checkup import Check
    from functions.cli.surroundings import open_reader, settings_here
    from functions.doctor import check_clock, check_fabrics, check_netbox, check_topics
    from infra.deadline import Deadline
    from infra.pubsub import BROKER_PROJECT
    from infra.secrets import open_secrets

    settings = settings_here(quiet=as_json)
    deadline = Deadline.after(60)
    secrets = open_secrets(settings.secrets, settings.secret_prefix) if settings.secrets else None
    checks: list[Check] = [Check("settings", True, "they make sense")]
    with open_reader(settings, deadline) as netbox:
        checks += check_netbox(netbox)
        checks += check_clock(netbox)
        checks += check_fabrics(netbox, secrets, deadline)
    # Pub/Sub itself is not asked: whoever may publish need not be allowed to look at topics.
    url = settings.broker_url or (f"http://{settings.pubsub_emulator_host}" if settings.pubsub_emulator_host else "")
    if url:
        topics = (settings.topic_requests, settings.topic_outcomes)
        checks += check_topics(url, settings.project or BROKER_PROJECT, topics, deadline)
    _tell(checks, as_json)


def _tell(checks: Iterable[Check], as_json: bool) -> None:
    found = list(checks)
    bad = [check for check in found if not check.ok]
    if as_json:
        told: dict[str, Any] = {"ok": not bad, "checks": [check.as_dict() for check in found]}
        typer.echo(json.dumps(told, indent=2))
    else:
        for check in found:
            typer.echo(f"{'ok ' if check.ok else 'BAD'} {check.what}: {check.found}")
            if check.hint:
                typer.echo(f"    hint: {check.hint}")
    raise typer.Exit(Exit.FAILED if bad else Exit.SUCCEEDED)
