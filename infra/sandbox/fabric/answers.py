"""What an API server says when it does not say 200: Status bodies and plain texts, as recorded from a real one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from infra.sandbox.fabric.manifests import encode

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
_REASONS = {413: "Request Entity Too Large", 422: "Unprocessable Entity"}  # as Go names them


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer before it is put on the wire. `flow` says whether it passed priority and fairness."""

    status: int
    body: bytes
    content_type: str | None = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    cache_control: str = "no-cache, private"
    flow: bool = True

    @property
    def status_line(self) -> str:
        return f"HTTP/1.1 {self.status} {_REASONS.get(self.status) or HTTPStatus(self.status).phrase}"


def document(value: Any, *, sort: bool = False) -> Answer:
    """200 with a JSON document that ends, as Go's encoder ends it, with a line feed."""
    return Answer(200, encode(value, sort=sort) + b"\n")


def text(status: int, message: str, *, flow: bool = True, headers: Mapping[str, str] | None = None) -> Answer:
    """A plain text answer; browsers are told not to guess."""
    return Answer(status, message.encode(), TEXT, {"X-Content-Type-Options": "nosniff", **(headers or {})}, flow=flow)


def status(
    code: int,
    reason: str,
    message: str,
    *,
    details: Mapping[str, Any] | None = None,
    meta: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    flow: bool = True,
) -> Answer:
    """A failure as a Status object, keys in the order of the Go type."""
    body: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": meta or {}, "status": "Failure"}
    body |= {"message": message, "reason": reason}
    if details is not None:
        body["details"] = details
    body["code"] = code
    return Answer(code, encode(body, sort=False) + b"\n", headers=headers or {}, flow=flow)


def bad_request(message: str) -> Answer:
    return status(400, "BadRequest", message)


def unauthorized() -> Answer:
    return status(401, "Unauthorized", "Unauthorized", flow=False)


def forbidden(message: str, details: Mapping[str, Any]) -> Answer:
    return status(403, "Forbidden", message, details=details, headers={"X-Content-Type-Options": "nosniff"})


def forbidden_path(user: str, verb: str, path: str) -> Answer:
    return forbidden(f'forbidden: User "{user}" cannot {verb} path "{path}"', {})


def forbidden_resource(
    user: str, verb: str, plural: str, group: str, namespace: str | None, name: str | None
) -> Answer:
    """The RBAC denial of a request for a resource (kind in the details is the plural: so the real one)."""
    subject = f"{plural}.{group}" if group else plural
    named = f' "{name}"' if name else ""
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    message = (
        f'{subject}{named} is forbidden: User "{user}" cannot {verb} resource "{plural}" in API group "{group}" {where}'
    )
    details = {"name": name} if name else {}
    return forbidden(message, details | ({"group": group} if group else {}) | {"kind": plural})


def page_not_found() -> Answer:
    """An unknown path or kind: plain text, no Status."""
    return text(404, "404 page not found\n")


def missing(plural: str, group: str, name: str) -> Answer:
    details = {"name": name, "group": group, "kind": plural}
    return status(404, "NotFound", f'{plural}.{group} "{name}" not found', details=details)


def not_acceptable() -> Answer:
    accepted = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    return status(406, "NotAcceptable", f"only the following media types are accepted: {accepted}")


def no_watch() -> Answer:
    """Watching is not simulated, and says so instead of passing a list off as a stream."""
    return status(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def expired_list() -> Answer:
    return status(410, "Expired", "The resourceVersion for the provided list is too old.")


def expired_continue(fresh: str) -> Answer:
    """The token's revision is compacted; `fresh` goes on from the same key in a newer snapshot."""
    message = (
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
        "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
        "modified, or deleted between the time the first chunk was returned and now may show up in the list."
    )
    return status(410, "Expired", message, meta={"continue": fresh})


def too_many_requests() -> Answer:
    """Overload, before priority and fairness: no Status."""
    return text(429, "Too many requests, please try again later.\n", headers={"Retry-After": "1"}, flow=False)


def storage_initializing() -> Answer:
    details, headers = {"retryAfterSeconds": 1}, {"Retry-After": "1"}
    return status(429, "TooManyRequests", "storage is (re)initializing", details=details, headers=headers)


def server_error(code: int) -> Answer:
    """A 5xx as a Status, in the words of the real one for a lost etcd."""
    words = {
        500: ("InternalError", "Internal error occurred: error resolving resource"),
        503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
        504: ("Timeout", "Timeout: request did not complete within the allotted timeout"),
    }
    reason, message = words.get(code, ("InternalError", "an error on the server has prevented the request"))
    return status(code, reason, message)


def version_too_large(wanted: int, current: int) -> Answer:
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    message = f"Timeout: Too large resource version: {wanted}, current: {current}"
    details = {"causes": [cause], "retryAfterSeconds": 1}
    return status(504, "Timeout", message, details=details, headers={"Retry-After": "1"})


def match_without_version() -> Answer:
    field_name, said = "resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided"
    cause = {"reason": "FieldValueForbidden", "message": f"Forbidden: {said}", "field": field_name}
    details = {"group": "meta.k8s.io", "kind": "ListOptions", "causes": [cause]}
    message = f'ListOptions.meta.k8s.io "" is invalid: {field_name}: Forbidden: {said}'
    return status(422, "Invalid", message, details=details)


def html() -> Answer:
    """What a captive portal or a proxy in between answers: 200, and no JSON at all."""
    page = b"<!doctype html><html><head><title>Sign in</title></head><body><h1>Sign in to go on</h1></body></html>\n"
    return Answer(200, page, "text/html; charset=utf-8", flow=False)
