"""`python -m functions.demo`: the whole journey on one machine; `DEMO_ONCE=1` ends after its rounds."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Play the demonstration; errors are told in words, with exit code 1; Ctrl-C in mid-round is 130."""
    try:
        from rich.console import Console

        from functions.cli.ends import tell
        from functions.demo.play import play
    except ModuleNotFoundError as missing:
        sys.stderr.write(
            f'the package {missing.name} is missing; install it: python -m pip install "fabric-sync[cli,sandbox]"\n'
        )
        return 2
    console = Console(markup=False, highlight=False, soft_wrap=not sys.stdout.isatty())
    try:
        return play(console, once=os.environ.get("DEMO_ONCE", "") not in ("", "0"))
    except KeyboardInterrupt:
        console.print("stopped; nothing is left running")
        return 130
    except Exception as error:  # noqa: BLE001  # reason: whatever the sandbox raises is told in words
        told = tell(error)
        sys.stderr.write(f"error: {told.text}\n" + (f"hint: {told.hint}\n" if told.hint else ""))
        return 1


if __name__ == "__main__":
    sys.exit(main())
