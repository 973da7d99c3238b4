"""What the tests of a run print and log is searched for the secrets they used: one that is found fails the run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.proofs.traces import traces

LARGEST = 64 * 1024
"""Bytes of a kubeconfig, at most."""

_said: dict[str, bytes] = {}
_secrets: dict[str, str] = {}


def keep_secret(name: str, secret: str) -> None:
    """Let the run be searched for this one, too. Those of kubeconfigs in temporary files are found without."""
    _secrets[name] = secret


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    text = "\n".join(text for title, text in report.sections if title.endswith(report.when or ""))
    if text:
        _said[report.nodeid] = _said.get(report.nodeid, b"") + text.encode("utf-8", "replace")


@pytest.fixture(scope="session", autouse=True)
def nothing_said_is_secret(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """At the end of the run: whatever was captured, and every log in the tests' directories."""
    yield
    place = tmp_path_factory.getbasetemp()
    logs = {str(file.relative_to(place)): file.read_bytes() for file in sorted(place.rglob("*.log")) if file.is_file()}
    found = traces(_secrets | dict(_in_kubeconfigs(place)), _said | logs)
    if found:
        pytest.fail("secrets were printed or logged: " + "; ".join(found), pytrace=False)


def _in_kubeconfigs(place: Path) -> Iterator[tuple[str, str]]:
    """The bearer tokens of all kubeconfigs below a directory, each with the file's name."""
    for file in sorted(place.rglob("fabric-*")):
        try:
            if not file.is_file() or file.stat().st_size > LARGEST:
                continue  # a pipe would be waited for
            tokens = [user["user"].get("token") for user in yaml.safe_load(file.read_text())["users"]]
        except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, KeyError, TypeError):
            continue  # no kubeconfig, or none that a test would be let in with
        for token in tokens:
            if isinstance(token, str) and len(token) >= 24:
                yield str(file.relative_to(place)), token
