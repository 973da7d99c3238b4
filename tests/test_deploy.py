"""What is deployed: packed, unpacked where nothing else is, with its requirements alone, served, and asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.package import ROOT, contents, pack
from tests import hostile
from tests.house import MARGIN, house
from tests.proxy import answering

# On a machine that has none of the packages yet, fetching them is what takes the time.
pytestmark = pytest.mark.timeout(600)

TOKEN = "0" * 40


@dataclass(frozen=True)
class Deployed:
    """The archive's content in a directory of its own, and a Python that has its requirements and no more."""

    place: Path
    python: Path

    def run(self, code: str, cwd: Path) -> str:
        """What the code prints, run far from the repository."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        done = subprocess.run(
            [self.python, "-c", code],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    place = tmp_path_factory.mktemp("deployed")
    pack(place / "archive.zip")
    with zipfile.ZipFile(place / "archive.zip") as archive:
        archive.extractall(place / "source")
    environment, python = place / "venv", place / "venv" / "bin" / "python"
    uv = [sys.executable, "-m", "uv", "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, environment], check=True, timeout=120)
    requirements = place / "source" / "requirements.txt"
    installed = subprocess.run(
        [*uv, "pip", "install", "--python", python, "--require-hashes", "--requirement", requirements],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert installed.returncode == 0, installed.stderr
    return Deployed(place / "source", python)


def test_alike_sources_make_the_same_archive(tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        pack(tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_the_archive_holds_what_runs_and_nothing_for_people() -> None:
    names = [path.as_posix() for path in contents()]
    assert {"functions/main.py", "functions/handler.py", "infra/pubsub.py", "requirements.txt"} <= set(names)
    assert not [name for name in names if "sandbox" in name or "/cli/" in name or "/demo/" in name or "test" in name]
    assert names == sorted(names)
    for floor in ("functions", "infra"):
        assert f"{floor}/__init__.py" in names


def test_the_archive_is_made_from_the_command_line(tmp_path: Path) -> None:
    target = tmp_path / "archive.zip"
    done = subprocess.run(
        [sys.executable, "-m", "infra.package", target],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert str(target) in done.stdout
    assert zipfile.is_zipfile(target)


def test_every_module_of_the_archive_imports_with_its_requirements_alone(deployed: Deployed, tmp_path: Path) -> None:
    code = f"""
import importlib, json, pkgutil, sys
sys.path.insert(0, {str(deployed.place)!r})
names = []
for floor in ("functions", "infra"):
    package = importlib.import_module(floor)
    names += [module.name for module in pkgutil.walk_packages(package.__path__, floor + ".")]
names.remove("functions.main")
for name in names:
    module = importlib.import_module(name)
    assert module.__file__.startswith({str(deployed.place)!r}), module.__file__
print(json.dumps(names))
"""
    names = json.loads(deployed.run(code, tmp_path))
    assert "functions.translate.cables" in names
    assert "infra.pubsub" in names


def test_the_page_is_packed_with_all_that_it_shows() -> None:
    packed = {path.as_posix() for path in contents()}
    shown = {path.relative_to(ROOT).as_posix() for path in (ROOT / "functions" / "web").rglob("*.*")}
    assert {path for path in shown if not path.endswith(".pyc")} <= packed
    assert {"functions/web/templates/base.html", "functions/web/static/page.css"} <= packed


def test_tools_of_people_and_tests_are_not_there(deployed: Deployed, tmp_path: Path) -> None:
    code = """
import importlib.util
print([name for name in ("typer", "rich", "uv", "pytest", "hypothesis", "mypy") if importlib.util.find_spec(name)])
"""
    assert deployed.run(code, tmp_path).strip() == "[]"


@pytest.fixture(scope="module")
def unknown_to_netbox() -> Iterator[str]:
    """A NetBox without any fabric."""
    behaviour = answering("200 OK", b'{"count": 0, "results": []}', kind="application/json")
    with hostile.serve(behaviour) as server:
        yield server.url


def test_the_deployed_function_tells_an_unknown_fabric_and_a_netbox_that_hangs(
    deployed: Deployed, unknown_to_netbox: str, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    main = deployed.place / "functions" / "main.py"
    with house(
        tmp_path,
        unknown_to_netbox,
        TOKEN,
        deadline=5.0,
        reserve=2.4,
        main=main,
        python=str(deployed.python),
        directory=elsewhere,
    ) as served:
        asked = served.ask("lab")
        assert (asked.status, asked.outcome["result"], asked.code) == (200, "failed", "unknown_fabric")
        served.netbox.misbehave(hostile.silent)
        asked = served.ask("lab")
        assert (asked.status, asked.outcome["result"], asked.code) == (200, "timed_out", "netbox_timeout")
        assert asked.seconds < 5.0 + MARGIN
        lines = [json.loads(line) for line in served.log().splitlines() if line.startswith("{")]
        assert [line for line in lines if line["severity"] == "WARNING" and line["fabric"] == "lab"]
