"""The search of a test run for its secrets: it finds them, and fails the run."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RUN = """
import base64, os, secrets, yaml

def test_it(tmp_path):
    token = secrets.token_urlsafe(24)
    (tmp_path / "fabric-lab").write_text(yaml.safe_dump({{"users": [{{"user": {{"token": token}}}}]}}))
    {says}
"""


@pytest.mark.parametrize(
    ("says", "code", "options"),
    [
        ("print('nothing of it')", 0, ()),
        ("print('nothing of it')", 0, ("-n", "2")),
        ("os.mkfifo(tmp_path / 'fabric-pipe')", 0, ()),  # nothing is waited for
        ("print(token)", 1, ()),
        ("print(token)", 1, ("-n", "2")),
        ("print(base64.b64encode(token.encode()).decode())", 1, ()),
        ("(tmp_path / 'function.log').write_text(f'asked with {token[:15]}')", 1, ()),
        ("(tmp_path / 'function.log').write_text(f'asked with {token[:15]}')", 1, ("-n", "2")),
    ],
)
def test_a_run_that_says_a_secret_fails(says: str, code: int, options: tuple[str, ...]) -> None:
    # Not in pytest's own directory, where the run that this test is a part of would find the secret, too.
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "test_it.py").write_text(RUN.format(says=says))
        command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.everything_said", "-p", "no:cacheprovider"]
        command += ["-c", "/dev/null", f"--rootdir={place}", f"--basetemp={place}/made", *options, place]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert ("secrets were printed or logged: " in done.stdout) is bool(code)
