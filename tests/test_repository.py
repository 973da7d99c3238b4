"""The rules of the house, read from its source: what no linter knows, and what must never come in."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests import conftest
from tests.waits import endless

ROOT = Path(__file__).resolve().parent.parent

# Files that may be longer than 350 lines, each with its reason.
LONG = {
    "tests/functions/translate/test_connections.py": "one table of expectations, written by hand for each variant",
}

# Where a raw socket may be opened: the bounded transport, and the sandbox's own servers.
SOCKETS = ("infra/transport", "infra/wire.py", "infra/sandbox/")

# Where pairs of sockets lead from a parent to its child, and nothing can lead outside.
PAIRS = ("infra/supervisor.py", "infra/parent.py", "infra/forkserver.py", "infra/child.py")

# Where a wait may have no limit: at a person's terminal, until that person ends it.
ENDLESS = {"functions/cli/sandbox.py", "functions/demo/play.py"}


@cache
def tracked() -> tuple[str, ...]:
    """The paths that git knows and that exist."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    if listed.returncode:
        pytest.skip("this is no git checkout: git ls-files does not answer")
    return tuple(path for path in listed.stdout.split("\0") if path and (ROOT / path).is_file())


def sources() -> list[str]:
    """The Python files of both floors."""
    return [path for path in tracked() if path.startswith(("functions/", "infra/")) and path.endswith(".py")]


@cache
def tree(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text("utf-8"), path)


def lines_where(found: Callable[[ast.AST], bool], path: str) -> list[str]:
    return [f"{path}:{getattr(node, 'lineno', 0)}" for node in ast.walk(tree(path)) if found(node)]


# Size and shape


def test_a_file_is_one_room_and_can_be_read_in_one_sitting() -> None:
    lengths = {path: (ROOT / path).read_text("utf-8").count("\n") for path in tracked() if path.endswith(".py")}
    assert {path: length for path, length in lengths.items() if length > 350 and path not in LONG} == {}


def test_every_file_says_first_what_it_is_for() -> None:
    assert [path for path in sources() if not ast.get_docstring(tree(path))] == []


def test_no_room_is_a_lumber_room() -> None:
    lumber = {"utils", "helpers", "common", "misc", "manager", "util", "helper"}
    assert [path for path in sources() if lumber & set(Path(path).with_suffix("").parts)] == []


def test_every_folder_of_tests_holds_tests() -> None:
    folders = [path for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert folders
    assert [folder.name for folder in folders if not list(folder.rglob("test_*.py"))] == []


@pytest.mark.parametrize("package", ["infra", "functions"])
def test_every_module_can_be_imported(package: str, tmp_path: Path) -> None:
    # In a process of its own: entry points read the settings, and set up logging, when they are imported.
    program = f"""
import importlib, pkgutil, {package}
for module in pkgutil.walk_packages({package}.__path__, "{package}."):
    # what runs inside NetBox's own environment, and what starts a program, is not for this one
    if "inside" not in module.name.split(".") and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""
    environ = {"PATH": os.environ.get("PATH", ""), "NETBOX_URL": "https://netbox.example.org", "NETBOX_TOKEN": "0" * 40}
    environ |= {"FABRIC_SYNC_SECRETS": str(tmp_path), "FABRIC_SYNC_PROJECT": "demo"}
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=200)
    assert ran.returncode == 0, ran.stderr


# Time


def broad(node: ast.AST) -> bool:
    """Whether a handler could swallow the deadline."""
    if not isinstance(node, ast.ExceptHandler):
        return False
    kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return any(
        kind is None or (isinstance(kind, ast.Name) and kind.id in ("Exception", "BaseException")) for kind in kinds
    )


def test_a_broad_except_says_why_on_its_line() -> None:
    found = []
    for path in sources():
        text = (ROOT / path).read_text("utf-8").splitlines()
        for node in ast.walk(tree(path)):
            if not broad(node):
                continue
            assert isinstance(node, ast.ExceptHandler)
            if isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None:
                continue  # it lets everything pass
            comments = [part.strip() for part in text[node.lineno - 1].split("#")[1:]]
            if not any(len(part.split()) >= 4 and not part.startswith("noqa") for part in comments):
                found.append(f"{path}:{node.lineno}")
    assert found == []


def sleeps(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module == "time" and any(alias.name == "sleep" for alias in node.names)
    return isinstance(node, ast.Attribute) and node.attr == "sleep" and isinstance(node.value, ast.Name)


def test_nothing_sleeps_outside_the_sandbox_but_the_deadline_itself() -> None:
    awake = [path for path in sources() if not path.startswith("infra/sandbox/") and path != "infra/deadline.py"]
    assert [line for path in awake for line in lines_where(sleeps, path)] == []


def test_nothing_waits_without_a_limit_outside_the_sandbox() -> None:
    bounded = [path for path in sources() if not path.startswith("infra/sandbox/") and path not in ENDLESS]
    assert [f"{path}:{line}" for path in bounded for line in endless(tree(path))] == []


def imports(node: ast.AST, *names: str) -> bool:
    if isinstance(node, ast.Import):
        return any(alias.name.split(".")[0] in names for alias in node.names)
    return isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in names and node.level == 0


def test_sockets_are_opened_by_the_transport_alone() -> None:
    others = [path for path in sources() if not path.startswith(SOCKETS) and path not in PAIRS]
    assert [line for path in others for line in lines_where(lambda node: imports(node, "socket"), path)] == []
    # smtplib opens sockets of its own, unless it is told not to.
    others = [path for path in sources() if path != "infra/mail.py"]
    assert [line for path in others for line in lines_where(lambda node: imports(node, "smtplib"), path)] == []


def test_between_parent_and_child_there_are_pairs_of_sockets_alone() -> None:
    def leads_outside(node: ast.AST) -> bool:
        outside = {"create_connection", "create_server", "connect", "connect_ex", "bind", "getaddrinfo", "AF_INET"}
        if isinstance(node, ast.ImportFrom):
            return node.module == "socket"
        return isinstance(node, ast.Attribute) and node.attr in outside

    assert [line for path in PAIRS for line in lines_where(leads_outside, path)] == []


def test_the_setting_that_does_nothing_is_nowhere() -> None:
    def bounds_nothing(node: ast.AST) -> bool:
        # Configuration.timeout of the kubernetes client: no code reads it, so it looks like a limit and is none.
        return (
            isinstance(node, ast.Attribute)
            and node.attr == "timeout"
            and "configuration" in ast.unparse(node.value).lower()
        )

    assert [line for path in sources() for line in lines_where(bounds_nothing, path)] == []


def test_grpc_is_imported_where_pubsub_is_spoken_and_nowhere_else() -> None:
    def speaks(node: ast.AST) -> bool:
        named = isinstance(node, ast.ImportFrom) and (node.module or "").startswith("google.cloud")
        return named or imports(node, "grpc")

    found = {path for path in sources() if lines_where(speaks, path)}
    assert found <= {"infra/pubsub.py"}


# What must never come in

FORBIDDEN = {
    "the address of a package registry": (
        r"((?<!emit-)(index-url|find-links)|registry *[:=] *\"?http|resolved\"?[ :]+\"http"
        r"|https?://[^ \"]*(/simple/?\"?$|\.whl\b|\.tgz\b|/packages/))"
    ),
    "a path of one machine": r"(^|[^\w./-])/(root|work|farm|home/\w+|Users/\w+)/",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s*(\\n)?[A-Za-z0-9+/]{40}",
    "an access token": r"\bya29\.[\w-]{40}|\bgh[pousr]_[A-Za-z0-9]{36}|\bAKIA[A-Z0-9]{16}\b|\bAIza[\w-]{35}\b",
    "a web token": r"\beyJ[\w-]{20,}\.eyJ[\w-]{20,}\.[\w-]{20,}",
}
QUOTES = {"tests/test_repository.py"}  # the rules quote what they forbid


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what], re.MULTILINE)
    found = []
    for path in tracked():
        raw = (ROOT / path).read_bytes()
        if path in QUOTES or b"\0" in raw[:8000]:
            continue
        text = raw.decode("utf-8", "replace")
        found += [
            f"{path}:{text.count(chr(10), 0, hit.start()) + 1}: {hit.group()[:60]}" for hit in pattern.finditer(text)
        ]
    assert found == []


def test_the_licence_is_apache_2_and_is_here() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text("utf-8")
    assert project()["license"] == "Apache-2.0"


def test_what_is_made_is_not_kept() -> None:
    made = re.compile(r"(^|/)(__pycache__|\.venv|\.sandbox|reports|build|dist)/|\.pyc$")
    assert [path for path in tracked() if made.search(path)] == []


# What is deployed


def project() -> dict[str, object]:
    found: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return found


def pins() -> dict[str, tuple[Requirement, list[str]]]:
    """What requirements.txt pins, by name: the requirement and its hashes."""
    text = (ROOT / "requirements.txt").read_text("utf-8")
    joined = re.sub(r"\\\n\s*", " ", re.sub(r"(?m)^\s*#.*$", "", text))
    found = {}
    for line in filter(None, map(str.strip, joined.splitlines())):
        named, *hashes = line.split(" --hash=")
        requirement = Requirement(named.strip())
        found[canonicalize_name(requirement.name)] = requirement, [each.strip() for each in hashes]
    return found


def test_requirements_are_current_with_the_project() -> None:
    pinned = pins()
    wanted = [Requirement(text) for text in project()["dependencies"]]  # type: ignore[attr-defined]
    missing = []
    for requirement in wanted:
        pin, _ = pinned.get(canonicalize_name(requirement.name), (None, None))
        if pin is None or not requirement.specifier.contains(Version(str(pin.specifier).removeprefix("=="))):
            missing.append(str(requirement))
    assert missing == [], "run make requirements"


def test_every_requirement_is_pinned_and_has_its_hashes() -> None:
    for requirement, hashes in pins().values():
        assert str(requirement.specifier).startswith("=="), requirement
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes), requirement
        assert requirement.url is None


def test_what_is_deployed_holds_no_tools_of_the_workshop() -> None:
    workshop = {"pytest", "mypy", "ruff", "hypothesis", "import-linter", "typer", "uv", "schemathesis", "aiosmtpd"}
    assert workshop & pins().keys() == set()


def test_requirements_are_made_without_addresses_and_paths() -> None:
    text = (ROOT / "requirements.txt").read_text("utf-8")
    assert "://" not in text
    assert text.splitlines()[1].strip("# ") == "make requirements"
    assert not re.search(r"(?m)^-", text)


# The judge of .ci/run


def judged(tmp_path: Path, *cases: tuple[str, str | None], least: int = 1) -> subprocess.CompletedProcess[str]:
    """What .ci/judge.py says of a report with these tests: each its marker, and why it was skipped."""
    rows = [
        f"<testcase classname='tests.x' name='t{number}'>"
        f"<properties><property name='marker' value={quoteattr(marker)}/></properties>"
        f"{'' if reason is None else f'<skipped message={quoteattr(reason)}/>'}</testcase>"
        for number, (marker, reason) in enumerate(cases)
    ]
    report = tmp_path / "junit.xml"
    report.write_text(f"<testsuites><testsuite>{''.join(rows)}</testsuite></testsuites>")
    command = [sys.executable, str(ROOT / ".ci" / "judge.py"), str(report), str(least)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("marker", ["netbox", "emulator", "browser"])
def test_ci_refuses_a_run_that_left_the_real_thing_out(marker: str, tmp_path: Path) -> None:
    told = judged(tmp_path, ("slow", None), (marker, "no java on the path"))
    assert told.returncode == 1
    assert "tests.x.t1 was skipped: no java on the path" in told.stdout


def test_ci_refuses_a_run_with_too_few_tests(tmp_path: Path) -> None:
    assert judged(tmp_path, ("netbox", None), ("other", "no reason"), least=2).returncode == 1


def test_ci_accepts_a_run_in_which_other_tests_were_skipped(tmp_path: Path) -> None:
    assert judged(tmp_path, ("netbox", None), ("other", "no sample"), least=1).returncode == 0


def test_tests_that_share_an_id_are_refused(request: pytest.FixtureRequest) -> None:
    conftest.pytest_collection_modifyitems([request.node])
    with pytest.raises(pytest.UsageError, match="share_an_id"):
        conftest.pytest_collection_modifyitems([request.node, request.node])
