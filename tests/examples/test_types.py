"""The examples are typed: whoever copies them has types that a strict checker follows into the contract."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_strict_checker_finds_nothing_in_the_examples(tmp_path: Path) -> None:
    copied = shutil.copytree(ROOT / "docs" / "examples", tmp_path / "examples")
    settings = tmp_path / "mypy.ini"
    settings.write_text("[mypy]\nstrict = True\n[mypy-google.*,functions_framework.*]\nignore_missing_imports = True\n")
    command = [sys.executable, "-m", "mypy", "--config-file", str(settings), "history.py", "pull.py", "push.py"]
    ran = subprocess.run(command, cwd=copied, capture_output=True, text=True, check=False, timeout=250)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_strict_checker_finds_a_misspelt_field(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "from functions.contract import SyncEnded\n\ndef told(ended: SyncEnded) -> str:\n    return ended.resul\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", str(wrong)]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=250)
    assert '"SyncEnded" has no attribute "resul"' in ran.stdout
