"""The interface's own document, taken at its word: schemathesis makes requests of it, and holds the answers to it."""

from __future__ import annotations

import hashlib
import hmac
import re
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import NotAServerErrorConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from functions.web.openapi import document
from tests.functions.web_house import HOOK_KEY, TOKEN, Desk, desk
from tests.netbox_fixtures import ServedNetBox

pytestmark = pytest.mark.netbox

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
FABRICS = ("lab", "lab", "other", "off", "bare", None)
"""Who is asked for, in place of the names that are made up; None leaves those."""

SCHEMA = schemathesis.openapi.from_dict(document())
# What others fail at is told as such; 500 would be a fault of ours.
SCHEMA.config.checks.not_a_server_error = NotAServerErrorConfig(expected_statuses=["2xx", "4xx", "502", "503", "504"])


@pytest.fixture(scope="module")
def manual(netbox_server: ServedNetBox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(netbox_server, tmp_path_factory.mktemp("openapi")) as made:
        yield made


def let_in(asked: requests.PreparedRequest) -> requests.PreparedRequest:
    """Show what each path wants to see: the token, or the signature of a webhook."""
    body = asked.body or b""
    signature = hmac.new(HOOK_KEY.encode(), body.encode() if isinstance(body, str) else body, hashlib.sha512)
    asked.headers["X-Hook-Signature"] = signature.hexdigest()
    asked.headers["Authorization"] = f"Bearer {TOKEN}"
    return asked


@pytest.fixture(scope="module")
def ended(manual: Desk) -> str:
    """A request that was served."""
    id_: str = manual.ask("POST", "/fabrics/lab/sync", {}).json["request_id"]
    return id_


def answers_as_documented(path: str, method: str) -> Callable[..., None]:
    """The test of one operation."""

    @SCHEMA.include(path=path, method=method).parametrize()
    @settings(max_examples=12, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def test(case: Any, manual: Desk, ended: str) -> None:
        at_home(case, ended)
        reply = case.call(manual.url, auth=let_in, timeout=60)
        case.validate_response(reply, checks=CHECKS)

    return test


for each in SCHEMA.get_all_operations():
    operation = each.ok()
    # A function for each: as one with several operations they would all have the same id.
    name = "_".join(re.findall(r"\w+", operation.path))
    globals()[f"test_{operation.method}_{name}_answers_as_documented"] = answers_as_documented(
        operation.path, operation.method.upper()
    )


def at_home(case: Any, ended: str) -> None:
    """Let some of what was made up be of our world, by its own content alone: the same case is the same request."""
    body = case.body if isinstance(case.body, dict) else None
    number = zlib.crc32(repr((case.path_parameters, case.query, body)).encode("utf-8", "replace"))
    if isinstance(case.path_parameters.get("name"), str) and (name := FABRICS[number % len(FABRICS)]):
        case.path_parameters["name"] = name
        if name == "lab" and number & 1024 and "request_id" in case.path_parameters:
            case.path_parameters["request_id"] = ended
    if body and "timestamp" in body and number & 2048:
        body["timestamp"] = datetime.now(UTC).isoformat()


def test_what_the_framework_would_answer_itself_is_answered_by_us(manual: Desk) -> None:
    assert manual.ask("GET", "/fabrics/lab/requests/a%0Ab").json["state"] == "unknown"
    for path in ("/robots.txt", "/favicon.ico", "/fabrics/lab%0A/plan"):
        answer = manual.ask("GET", path)
        assert answer.status == 404
        assert answer.json["code"] in ("not_found", "unknown_fabric")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
