"""The archive that is deployed: what the functions need at run time and nothing else, alike for alike sources.

`python -m infra.package OUT.zip` writes it; its entry point is `functions/main.py`.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent

FLOORS: Final = ("functions", "infra")
LEFT_OUT: Final = ("functions/cli", "functions/demo", "infra/sandbox", "infra/package.py")
"""What only people at a terminal use: it needs packages that the cloud does not get."""
SHOWN: Final = (".html", ".css", ".js", ".svg")
"""What the page is made of, beside its modules."""
BESIDE: Final = ("requirements.txt", "LICENSE")

_LONG_AGO: Final = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can name: a build has no date of its own


def contents(root: Path = ROOT) -> list[Path]:
    """The files of the archive, relative to `root`, in order."""
    taken = (".py", *SHOWN)
    found = [path.relative_to(root) for floor in FLOORS for path in (root / floor).rglob("*") if path.suffix in taken]
    kept = [path for path in found if not any(path.is_relative_to(place) for place in LEFT_OUT)]
    return sorted([*kept, *map(Path, BESIDE)])


def pack(target: Path, root: Path = ROOT) -> list[Path]:
    """Write the archive to `target`: the same bytes for the same sources. Returns what is in it."""
    files = contents(root)
    with zipfile.ZipFile(target, "w") as archive:
        for path in files:
            entry = zipfile.ZipInfo(path.as_posix(), _LONG_AGO)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, (root / path).read_bytes())
    return files


def main() -> int:
    """Pack from the command line."""
    parser = argparse.ArgumentParser(description="Pack what is deployed.")
    parser.add_argument("target", type=Path, help="the zip file to write")
    target: Path = parser.parse_args().target
    files = pack(target)
    sys.stdout.write(f"{target}: {len(files)} files, {target.stat().st_size} bytes\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
