"""The command line `fabric-sync`: everything the function does, at a terminal, against any NetBox and any fabric."""

from __future__ import annotations

import sys

_EXTRA = frozenset({"typer", "rich"})


def main() -> None:
    """Run the command line; says what to install where the packages of the extra `cli` are missing."""
    try:
        import rich  # noqa: F401  # typer does without it until it has something to show

        from functions.cli.app import app
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in _EXTRA:
            raise
        sys.stderr.write(
            f"fabric-sync: the package {missing.name} is missing: the command line needs `fabric-sync[cli]`.\n"
            'Install it with: python -m pip install "fabric-sync[cli]"\n'
        )
        raise SystemExit(2) from None
    app(prog_name="fabric-sync")
