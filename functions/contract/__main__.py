"""Writes the documents of the events: `python -m functions.contract docs/events`."""

from __future__ import annotations

import sys
from pathlib import Path

from .asyncapi import files


def main(folder: Path) -> None:
    """Write every file below `folder`, and take away schemas and examples of types that are no more."""
    made = {folder / path: text for path, text in files().items()}
    for stale in {*folder.glob("schemas/*.json"), *folder.glob("examples/*.json")} - made.keys():
        stale.unlink()
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m functions.contract FOLDER (docs/events)")
    main(Path(sys.argv[1]))
