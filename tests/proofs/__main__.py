"""`python -m tests.proofs storm soak secrets`: the heavy proofs that it always answers; reports of their figures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.sandbox.netbox import NetBoxSandbox
from tests.netbox_fixtures import ServedNetBox
from tests.proofs import leaks, places, soak, storm, users

type Proof = Callable[[argparse.Namespace], bool]

GROWTH = 3.0
"""MiB that a warm process may grow by in the second half of a soak."""


def prove_storm(options: argparse.Namespace) -> bool:
    """A storm of requests over many fabrics."""
    verdict = storm.run(options.state, options.requests, options.fabrics, options.seed, options.seconds)
    return _told("storm", verdict.wrong, places.write("storm", verdict.figures()))


def prove_soak(options: argparse.Namespace) -> bool:
    """Very many syncs in one warm process."""
    with _netbox(options.state) as served:
        soaked = soak.run(served, options.runs, 100, lambda sample: print(sample, flush=True))
    wrong = list(soaked.bad)
    wrong += [] if len(soaked.counts) == 1 else [f"counts of descriptors, threads, processes, zombies: {soaked.counts}"]
    wrong += [f"memory grew by {soaked.growth():.1f} MiB"] if soaked.growth() >= GROWTH else []
    return _told("soak", wrong, places.write("soak", soaked.figures(), soaked.rows()))


def prove_secrets(options: argparse.Namespace) -> bool:
    """Every secret is known, everything goes wrong, and none of them comes out."""
    story, found = leaks.run(options.state)
    missing = [f"it never came to {code}" for code in sorted(leaks.CODES - story.codes)]
    return _told("secrets", found + missing, places.write("secrets", story.figures()))


def prove_users(options: argparse.Namespace) -> bool:
    """The scheduler keeps fabrics true, and events alone tell their history."""
    verdict = users.run(options.state, 5, options.cycles, options.seed)
    return _told("users", verdict.wrong, places.write("users", verdict.figures()))


PROOFS: dict[str, Proof] = {"storm": prove_storm, "soak": prove_soak, "secrets": prove_secrets, "users": prove_users}


@contextmanager
def _netbox(state: Path) -> Iterator[ServedNetBox]:
    box = NetBoxSandbox(state / "netbox")
    try:
        yield ServedNetBox(box, box.up(print, owned=True))
    finally:
        box.down()


def _told(name: str, wrong: list[str], figures: str) -> bool:
    for text in wrong[:40]:
        print(f"WRONG: {text}")
    print(f"{name}: wrong={len(wrong)} {figures}", flush=True)
    return not wrong


def main() -> int:
    """Prove what was asked for, or everything; 0 when all of it held."""
    parser = argparse.ArgumentParser(prog="proofs", description=__doc__)
    parser.add_argument("proofs", nargs="*", metavar="PROOF", help=f"some of {', '.join(PROOFS)}")
    parser.add_argument("--requests", type=int, default=1000, help="of the storm")
    parser.add_argument("--fabrics", type=int, default=20, help="of the storm")
    parser.add_argument("--seconds", type=float, default=3600, help="after which the storm must be over")
    parser.add_argument("--runs", type=int, default=2000, help="of the soak")
    parser.add_argument("--cycles", type=int, default=10, help="of the users")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--state", type=Path, default=Path(".sandbox/proofs"))
    options = parser.parse_args()
    if strange := set(options.proofs) - set(PROOFS):
        parser.error(f"no such proof: {', '.join(sorted(strange))}")
    held = [PROOFS[name](options) for name in options.proofs or PROOFS]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
