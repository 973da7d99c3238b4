"""What each function loads before its first request: what it does not need costs every cold start."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.netbox_fixtures import ROOT

PROGRAM = """
import os, runpy, sys
runpy.run_path("functions/main.py")
ours = ("functions.translate", "functions.plan", "functions.run", "functions.sync", "functions.mailing")
heavy = ("kubernetes", "yaml", "smtplib", "grpc", "rich", "typer", "pynetbox", "requests", *ours)
print([name for name in heavy if name in sys.modules])
"""


@pytest.mark.parametrize("target", ["sync", "tick", "record", "manual"])
def test_a_function_loads_nothing_that_its_children_alone_need(target: str) -> None:
    environ = {
        "PATH": "",
        "PYTHONPATH": str(ROOT),
        "FUNCTION_TARGET": target,
        "NETBOX_URL": "https://netbox.example.org",
        "NETBOX_TOKEN": "0" * 40,
        "FABRIC_SYNC_PROJECT": "demo",
        "FABRIC_SYNC_SECRETS": str(ROOT),
        "FABRIC_SYNC_MANUAL_OPEN": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, cwd=ROOT, env=environ, timeout=60, check=False
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
