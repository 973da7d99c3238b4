"""The commands that need no cloud: the sandbox on this machine, and simulated fabrics alone."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from functions.cli.ends import Exit

if TYPE_CHECKING:
    from infra.sandbox.netbox import State
    from infra.sandbox.world import World

DEFAULT_FABRICS = ("lab=topology:mesh,gateways=1",)

sandbox = typer.Typer(
    help="The whole world on this machine: NetBox, simulated fabrics, a broker, the function. No Docker, no root.",
    no_args_is_help=True,
)

Faults = Annotated[
    list[str] | None, typer.Option("--fault", metavar="NAME=TROUBLE[:KIND]", help="A fault that is on from the start.")
]
Specs = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME=SPEC…", help="FILE.yaml[+FILE2.yaml], or topology:spine_leaf,leaves=4,seed=7"),
]


@sandbox.command()
def up(
    specs: Specs = None,
    fault: Faults = None,
    emulator: Annotated[bool, typer.Option(help="Google's Pub/Sub emulator instead of the embedded broker.")] = False,
) -> None:
    """Bring the sandbox up, register its fabrics, and leave it running until `sandbox down`."""
    from functions.enrol import enrol
    from infra.deadline import Deadline
    from infra.netbox import NetBox
    from infra.sandbox.addresses import SECRET_PREFIX
    from infra.sandbox.world import EVERYTHING, Content, World

    fabrics = _pairs(specs or DEFAULT_FABRICS)
    world = World()
    content = Content(fabrics, _faults(fault or ()), emulator=emulator, beside=EVERYTHING)
    addresses = world.up(lambda text: typer.echo(text, err=True), content)
    try:
        with NetBox(addresses.netbox, addresses.token, Deadline.after(120)) as netbox:
            enrol(netbox, fabrics, SECRET_PREFIX, addresses.page or None)
    except BaseException:
        world.down()
        raise
    _show(world)
    typer.echo(f"try: fabric-sync sync {next(iter(fabrics))}")


@sandbox.command()
def down() -> None:
    """End every process of the sandbox; what NetBox holds stays for the next `up`."""
    from infra.sandbox.world import World

    world = World()
    world.down()
    typer.echo(f"the sandbox in {world.state} is down")


@sandbox.command()
def status() -> None:
    """Show what each part of the sandbox is doing, and where it is. Exit code 1 when it is not up."""
    from infra.sandbox.netbox import State
    from infra.sandbox.world import World

    if _show(World()) is not State.UP:
        raise typer.Exit(Exit.FAILED)


def _show(world: World) -> State:
    from functions.cli import show

    found = world.status()
    where: dict[str, str] = {}
    if at := found.addresses:
        where = {
            "netbox": f"{at.netbox}  (login {at.username} / {at.password})",
            "broker": at.broker,
            "emulator": at.broker,
            "function": at.function,
            "manual": f"{at.page}  (the page for people)",
            "fabrics": "  ".join(f"{name} {url}" for name, url in at.fabrics.items()),
        }
    rows = [(name, state.value, where.get(name, "")) for name, state in found.parts.items()]
    console = show.console()
    console.print(show.grid((f"Sandbox {world.state}", found.state.value, "where"), rows))
    if found.addresses:
        console.print(f"secrets in {found.addresses.secrets}, logs in {found.addresses.logs}")
    return found.state


def simulate(
    specs: Annotated[
        list[str], typer.Argument(metavar="NAME=SPEC…", help="FILE.yaml, or topology:spine_leaf,leaves=4,seed=7")
    ],
    fault: Faults = None,
    state: Annotated[Path, typer.Option(help="Directory for the kubeconfigs.")] = Path(".sandbox/simulated"),
) -> None:
    """Serve simulated fabrics in the foreground, until Ctrl-C; prints a kubeconfig for each."""
    from infra.sandbox.fabric.serve import KUBECONFIG_PREFIX, SECRETS, serve

    fabrics = _pairs(specs)
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with serve(fabrics, state, faults=_faults(fault or ())) as running:
            for name in fabrics:
                typer.echo(f"{name}  {running[name].url}  kubeconfig {state / SECRETS / (KUBECONFIG_PREFIX + name)}")
            typer.echo(f"faults are switched at {running.admin.url}; stop with Ctrl-C", err=True)
            stop.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _pairs(specs: Iterable[str]) -> dict[str, str]:
    from functions.fabric import valid_name

    pairs = {}
    for spec in specs:
        name, separator, content = spec.partition("=")
        if not (separator and content and valid_name(name)):
            raise typer.BadParameter(f"{spec!r} is not NAME=SPEC (the name a slug of at most 16 characters)")
        pairs[name] = content
    return pairs


def _faults(pairs: Iterable[str]) -> dict[str, list[str]]:
    faults: dict[str, list[str]] = {}
    for pair in pairs:
        name, separator, trouble = pair.partition("=")
        if not separator:
            raise typer.BadParameter(f"{pair!r} is not NAME=TROUBLE")
        faults.setdefault(name, []).append(trouble)
    return faults
