"""Pure: the HTTP interface as an OpenAPI 3.1 document, written by hand; tests hold every answer against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from functions.outcome import Result
from functions.status import Connection, Status

type Json = dict[str, Any]

_PROBLEM: Final[Json] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "code": {"type": "string", "description": "a stable word to act on"},
        "hint": {"type": "string"},
        "retryable": {"type": "boolean"},
        "running": {"type": "string", "description": "409 busy: the request that runs"},
        "status_url": {"type": "string"},
        "outcome": {"type": "object", "description": "the outcome, where the sync came to one"},
    },
}
_MOMENT: Final[Json] = {"type": ["string", "null"], "format": "date-time"}
_END: Final[Json] = {
    "type": "object",
    "required": ["request_id", "result", "finished_at", "duration_s", "written", "trigger", "requested_by"],
    "properties": {
        "request_id": {"type": "string"},
        "result": {"enum": [one.value for one in Result]},
        "finished_at": {"type": "string", "format": "date-time"},
        "duration_s": {"type": "number"},
        "written": {"type": "integer"},
        "requested_by": {"type": ["string", "null"]},
        "code": {"type": ["string", "null"]},
        "hint": {"type": ["string", "null"]},
    },
}
_FABRIC: Final[Json] = {
    "type": "object",
    "required": ["fabric", "status", "late", "connection", "configured", "enabled", "ends", "links"],
    "properties": {
        "fabric": {"type": "string"},
        "status": {"enum": [one.value for one in Status]},
        "late": {"type": "boolean"},
        "connection": {"enum": [one.value for one in Connection]},
        "site": {"type": ["string", "null"]},
        "configured": {"type": "boolean"},
        "missing": {"type": "string", "description": "what its settings lack; empty where nothing is"},
        "enabled": {"type": "boolean"},
        "suspended_until": _MOMENT,
        "suspend_reason": {"type": "string"},
        "last_result": {"type": ["string", "null"]},
        "last_attempt": _MOMENT,
        "last_success": _MOMENT,
        "error": {"type": "string"},
        "running": {"type": ["object", "null"]},
        "failures": {"type": ["object", "null"]},
        "last_run": {"type": "object"},
        "ends": {"type": "array", "items": {"$ref": "#/components/schemas/End"}},
        "links": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
_OUTCOME: Final[Json] = {
    "type": "object",
    "description": "the data of the outcome event: docs/events.md",
    "required": ["fabric", "result", "request_id", "written", "reasons", "error"],
}
_PLAN: Final[Json] = {
    "type": "object",
    "required": ["fabric", "digest", "writes", "creates", "updates", "deletes", "totals", "forecast", "reasons"],
}
_TEST: Final[Json] = {
    "type": "object",
    "required": ["fabric", "connection", "ok", "steps", "error"],
    "properties": {"connection": {"enum": [one.value for one in Connection]}, "ok": {"type": "boolean"}},
}
_REQUESTED: Final[Json] = {
    "type": "object",
    "required": ["fabric", "request_id", "state", "status_url"],
}
_STATE: Final[Json] = {
    "type": "object",
    "required": ["fabric", "request_id", "state", "end", "until"],
    "properties": {
        "state": {"enum": ["unknown", "running", "ended"]},
        "end": {"anyOf": [{"$ref": "#/components/schemas/End"}, {"type": "null"}]},
        "until": _MOMENT,
    },
}
_WISH: Final[Json] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "force": {"type": "boolean", "default": False},
        "plan": {"type": ["string", "null"], "pattern": "^[0-9a-f]{16}$", "description": "apply this plan or nothing"},
    },
}
_HOOK: Final[Json] = {
    "type": "object",
    "description": "as NetBox sends it where a webhook has no body template of its own",
    "required": ["timestamp", "object_type", "data"],
    "properties": {
        "timestamp": {"type": "string", "format": "date-time"},
        "object_type": {"type": "string", "examples": ["virtualization.cluster"]},
        "data": {"type": "object"},
        "snapshots": {"type": ["object", "null"]},
    },
}
_SCHEMAS: Final[Mapping[str, Json]] = {
    "Problem": _PROBLEM,
    "End": _END,
    "Fabric": _FABRIC,
    "Outcome": _OUTCOME,
    "Plan": _PLAN,
    "Test": _TEST,
    "Requested": _REQUESTED,
    "RequestState": _STATE,
    "Wish": _WISH,
    "Hook": _HOOK,
}
_RETRY: Final[Json] = {"description": "seconds", "schema": {"type": "integer", "minimum": 0}}
_HEADERS: Final[Mapping[int, Json]] = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}}},
    409: {"Retry-After": _RETRY},
    503: {"Retry-After": {**_RETRY, "required": True}},
}

_TEXTS: Final[Mapping[int, str]] = {
    400: "what was sent makes no sense",
    401: "a token is missing or not taken",
    403: "known, and not allowed; or a form of somebody else",
    404: "no such fabric, or nothing at this path",
    408: "the body came too slowly",
    409: "another run holds the fabric, it is switched off, or the plan moved",
    413: "the body is too large",
    415: "the body is not JSON",
    422: "the fabric is not configured: the detail says what is missing",
    500: "a fault of fabric-sync",
    502: "the fabric failed",
    503: "NetBox or Pub/Sub failed: ask again after Retry-After",
    504: "the deadline came first; `outcome` says how far it got",
}
_READ: Final = (401, 403, 404, 500, 503, 504)
_BODY: Final = (400, 408, 413, 415)


def document() -> Json:
    """The document."""
    name = _parameter("name", {"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,14}[a-z0-9])?$"})
    every = {"type": "object", "required": ["fabrics"], "properties": {"fabrics": _list("Fabric")}}
    wait = {"name": "wait", "in": "query", "schema": {"enum": ["true", "false"], "default": "true"}}
    sync = _operation(
        "Sync now", {200: _ref("Outcome"), 202: _ref("Requested")}, (*_READ, *_BODY, 409, 422, 502), "sync"
    )
    sync["responses"]["200"]["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    sync["responses"]["202"]["headers"] = {"Location": {"required": True, "schema": {"type": "string"}}}
    sync |= {"parameters": [wait], "requestBody": {"content": {"application/json": {"schema": _ref("Wish")}}}}
    hook = _operation(
        "A webhook of NetBox", {200: {"type": "object"}, 202: _ref("Requested")}, (400, 401, 404, 408, 413, 500, 503)
    )
    hook |= {"security": [], "requestBody": {"content": {"application/json": {"schema": _ref("Hook")}}}}
    hook["parameters"] = [{"name": "X-Hook-Signature", "in": "header", "schema": {"type": "string"}}]
    state = _operation("The state of one request", {200: _ref("RequestState")}, _READ)
    state["parameters"] = [_parameter("request_id", {"type": "string"})]
    plan = _operation("What a sync would write", {200: _ref("Plan")}, (*_READ, 409, 422, 502))
    test = _operation("Test the connection", {200: _ref("Test")}, (*_READ, *_BODY, 422))
    health = _operation("Whether the function answers", {200: {"type": "object"}}, ())
    return {
        "openapi": "3.1.0",
        "info": {"title": "fabric-sync", "version": "1", "description": "Sync now, plan, status."},
        "security": [{"token": []}],
        "paths": {
            "/healthz": {"get": {**health, "security": []}},
            "/fabrics": {"get": _operation("All fabrics", {200: every}, (401, 403, 500, 503, 504))},
            "/fabrics/{name}": {"parameters": [name], "get": _operation("A fabric", {200: _ref("Fabric")}, _READ)},
            "/fabrics/{name}/plan": {"parameters": [name], "get": plan},
            "/fabrics/{name}/test": {"parameters": [name], "post": test},
            "/fabrics/{name}/sync": {"parameters": [name], "post": sync},
            "/fabrics/{name}/requests/{request_id}": {"parameters": [name], "get": state},
            "/hooks/netbox": {"post": hook},
        },
        "components": {
            "schemas": dict(_SCHEMAS),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(name: str) -> Json:
    return {"type": "array", "items": _ref(name)}


def _parameter(name: str, schema: Json) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _operation(summary: str, good: Mapping[int, Json], bad: tuple[int, ...], id_: str | None = None) -> Json:
    answers = {
        str(status): {"description": "good", "content": {"application/json": {"schema": schema}}}
        for status, schema in good.items()
    } | {
        str(status): {
            "description": _TEXTS[status],
            "content": {"application/problem+json": {"schema": _ref("Problem")}},
            **({"headers": _HEADERS[status]} if status in _HEADERS else {}),
        }
        for status in sorted(bad)
    }
    return {"summary": summary, "responses": answers, **({"operationId": id_} if id_ else {})}
