"""Serves simulated fabrics as a process of their own: `python -m infra.sandbox.fabric --state DIR name=SPEC …`."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from infra.sandbox.fabric.faults import FaultError
from infra.sandbox.fabric.manifests import ManifestError
from infra.sandbox.fabric.serve import ADDRESS_BOOK, serve
from infra.sandbox.fabric.spec import SpecError


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; `fabrics.json` in the state directory exists while all fabrics answer."""
    parser = argparse.ArgumentParser(prog="infra.sandbox.fabric", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="directory for secrets/ and " + ADDRESS_BOOK)
    parser.add_argument("--fault", action="append", default=[], metavar="NAME=TROUBLE[:KIND]", help="on from the start")
    parser.add_argument("--admin-port", type=int, default=0)
    parser.add_argument("fabrics", nargs="+", metavar="NAME=SPEC")
    options = parser.parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    faults: dict[str, list[str]] = {}
    for pair in options.fault:
        name, _, fault = pair.partition("=")
        faults.setdefault(name, []).append(fault)
    fabrics = dict(pair.partition("=")[::2] for pair in options.fabrics)
    try:
        running = serve(fabrics, options.state, faults=faults, admin_port=options.admin_port)
    except (ManifestError, SpecError, FaultError, OSError) as error:
        sys.stderr.write(f"fabrics cannot be served: {error}\n")
        return 2
    with running:
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
