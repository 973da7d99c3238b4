"""The commands for messages that wait: outcomes as they come, and requests that failed too often."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from functions.cli.ends import Exit
from functions.cli.options import AsJson

if TYPE_CHECKING:
    from infra.pull import Puller, Received
    from infra.settings import Settings

OUTCOMES_PULL = "fabric-sync-outcomes-pull"
DEAD_LETTERS_PULL = "fabric-sync-dead-letters-pull"

events = typer.Typer(help="What this system tells.", no_args_is_help=True)
dead_letters = typer.Typer(help="Requests that failed too often to be tried again.", no_args_is_help=True)

From = Annotated[str, typer.Option("--subscription", help="The pull subscription to take from.")]
_LOOK_EVERY = 1.0


@events.command()
def tail(
    subscription: From = OUTCOMES_PULL,
    once: Annotated[bool, typer.Option("--once", help="Show what waits, and end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show events as they come, until Ctrl-C. What is shown is taken out of the subscription."""
    from infra.deadline import Deadline

    puller, _ = _puller(as_json)
    try:
        while True:
            deadline = Deadline.after(30)
            received = puller.pull(subscription, 100, deadline)
            for one in received:
                typer.echo(json.dumps(_told(one)) if as_json else _line(one))
            puller.acknowledge(subscription, received, deadline)
            if not received and once:
                return
            if not received:
                deadline.pause(_LOOK_EVERY)
    except KeyboardInterrupt:
        return


@dead_letters.command("list")
def list_letters(subscription: From = DEAD_LETTERS_PULL, as_json: AsJson = False) -> None:
    """Show the dead letters, at most a thousand; they stay where they are."""
    from infra.deadline import Deadline

    puller, _ = _puller(as_json)
    deadline = Deadline.after(30)
    received = puller.pull(subscription, 1000, deadline)
    puller.let_go(subscription, received, deadline)
    if as_json:
        typer.echo(json.dumps([_told(one) for one in received], indent=2))
        return
    for one in received:
        why = one.attributes.get("CloudPubSubDeadLetterSourceDeliveryErrorMessage", "")
        typer.echo(f"{_line(one)}  {why}".rstrip())
    typer.echo(f"{len(received)} dead letters", err=True)


@dead_letters.command()
def replay(subscription: From = DEAD_LETTERS_PULL, as_json: AsJson = False) -> None:
    """Send the dead letters again as they were, at most a thousand; each is taken away once it is sent.

    A request that is older than an hour is answered as stale: the fabric was requested again since.
    """
    from infra.deadline import Deadline
    from infra.pubsub import Message, PublishError, open_publisher

    puller, settings = _puller(as_json)
    deadline = Deadline.after(60)
    received = puller.pull(subscription, 1000, deadline)
    if not received and deadline.pause(_LOOK_EVERY):
        # What was only looked at a moment ago comes again after the subscription's own pause.
        received = puller.pull(subscription, 1000, deadline)
    messages = [
        Message(
            one.data or b"{}",
            {name: text for name, text in one.attributes.items() if not name.startswith("CloudPubSubDeadLetter")},
            one.ordering_key or one.attributes.get("fabric", ""),
        )
        for one in received
    ]
    with open_publisher(settings.project or "", broker_url=settings.broker_url or "") as publisher:
        answers = publisher.publish_many(settings.topic_requests, messages, deadline)
    pairs = list(zip(received, answers, strict=True))
    puller.acknowledge(subscription, [one for one, answer in pairs if isinstance(answer, str)], deadline)
    left = [one for one, answer in pairs if isinstance(answer, PublishError)]
    puller.let_go(subscription, left, deadline)
    told = {"replayed": len(pairs) - len(left), "left": len(left)}
    typer.echo(json.dumps(told) if as_json else f"{told['replayed']} sent again, {told['left']} left")
    raise typer.Exit(Exit.INCOMPLETE if left else Exit.SUCCEEDED)


def _puller(quiet: bool) -> tuple[Puller, Settings]:
    from functions.cli.surroundings import settings_here
    from infra.pubsub import BROKER_PROJECT
    from infra.pull import Puller

    settings = settings_here(needs=("project|broker_url",), quiet=quiet)
    url = settings.broker_url or (f"http://{settings.pubsub_emulator_host}" if settings.pubsub_emulator_host else "")
    if not url:
        text = "this pulls from the embedded broker or the emulator; from Pub/Sub: gcloud pubsub subscriptions pull"
        typer.echo(f"error: {text} SUBSCRIPTION", err=True)
        raise typer.Exit(Exit.USAGE)
    return Puller(url, settings.project or BROKER_PROJECT), settings


def _told(one: Received) -> dict[str, Any]:
    try:
        data = json.loads(one.data)
    except ValueError:
        data = one.data.decode("utf-8", "replace")
    return {"published": one.published, "attributes": dict(one.attributes), "data": data}


def _line(one: Received) -> str:
    attributes = one.attributes
    type_ = attributes.get("ce-type", "").removeprefix("io.fabric-sync.").removesuffix(".v1")
    data = _told(one)["data"]
    error = data.get("error") if isinstance(data, dict) else None
    code = f"  {error['code']}" if isinstance(error, dict) and "code" in error else ""
    fabric = attributes.get("fabric") or attributes.get("ce-subject", "-")
    return f"{one.published[11:19]} {fabric:<16} {type_ or '-':<22} {attributes.get('ce-id', '-')}{code}"
