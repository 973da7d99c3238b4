"""The door to NetBox: pynetbox on the bounded session; full reads that prove they are complete, bulk writes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import pynetbox
from pynetbox.core.query import AllocationError, ContentError, Request, RequestError

from infra.deadline import Deadline
from infra.refusals import NetBoxError, StaleObjectError, UnprovenReadError, UnusableAnswerError, refusal
from infra.transport import BoundedSession, bounded_session

__all__ = [
    "PAGE",
    "DeletePermit",
    "NetBox",
    "NetBoxError",
    "NetBoxReader",
    "Row",
    "StaleObjectError",
    "UnpermittedDeleteError",
    "UnprovenReadError",
    "UnusableAnswerError",
    "etag_of",
]

type Row = dict[str, Any]

PAGE: Final = 1000
"""NetBox's own MAX_PAGE_SIZE by default: the fixed cost of a request dominates, so ask for as much as it gives."""

MOST_SEEN: Final = 200
"""ETags in one request: gunicorn takes header lines of 8,190 bytes (`netbox.md` §4)."""

REQUEST_ID: Final = "X-Request-ID"
"""The header in which NetBox tells the id that it gave a request; a client's own is ignored (`netbox.md` §4)."""


class UnpermittedDeleteError(Exception):
    """Somebody asked for a delete that no permit covers: a fault of ours, so nothing was sent."""


@dataclass(frozen=True, slots=True)
class DeletePermit:
    """The capability to delete exactly these `objects`, (path, id) each; only `functions.guard` makes one."""

    objects: frozenset[tuple[str, int]]

    def __len__(self) -> int:
        """How many objects it lets go."""
        return len(self.objects)


class NetBoxReader:
    """One NetBox, for one invocation, with no way to change it: what a preview gets.

    `url` is its base address (without `/api`), `token` a v2 (`nbt_…`) or v1 token. Every request is bounded by
    `deadline`, which may be replaced between requests (the reporting phase has a later end than the work).
    `requests` counts what was sent; `writes` holds NetBox's own ids of the writing requests that it answered, by which
    its change log names them. Raises `NetBoxError`, `infra.transport.TransportError` and
    `infra.deadline.DeadlineExceeded`, nothing else. Several threads may ask at the same time.
    """

    def __init__(self, url: str, token: str, deadline: Deadline, *, ca_file: str | None = None) -> None:
        self._api = pynetbox.api(url, token=token)
        self._session: BoundedSession = bounded_session(deadline, verify=ca_file or True)
        self._api.http_session = self._session
        self.url = url.rstrip("/")
        self.requests = 0
        self._counting = threading.Lock()
        self.writes: set[str] = set()
        self._session.hooks["response"].append(self._note)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    @property
    def deadline(self) -> Deadline:
        """What bounds the next request."""
        return self._session.deadline

    @deadline.setter
    def deadline(self, deadline: Deadline) -> None:
        self._session.deadline = deadline

    def _note(self, response: Any, **options: Any) -> None:
        id_ = response.headers.get(REQUEST_ID)
        if id_ and response.request.method not in ("GET", "HEAD"):
            self.writes.add(id_)

    def status(self) -> Row:
        """NetBox's own status: its version, plugins and workers (`/api/status/`)."""
        request = self._request("status")
        answer = next(iter(self._send(lambda: list(request.get()), "status")), None)
        if not isinstance(answer, dict) or "netbox-version" not in answer:
            raise UnusableAnswerError(200, "the status has no netbox-version: is this a NetBox?")
        return answer

    def read(self, path: str, filters: Mapping[str, Any] | None = None, fields: Iterable[str] = ()) -> list[Row]:
        """Every object below `path` that `filters` let through, in the order of their ids, proved complete.

        Pages are cut by id (`id__gt`), so a write elsewhere can never shift a row from one page to another; each
        page says how many rows are still to come, and a list of several pages is counted once more at its end.
        Where the numbers disagree the list is read once again, then `UnprovenReadError` is raised. `fields` keeps
        the answer narrow (`id` is always there). Unknown filters are ignored by NetBox, so the caller checks that
        the rows are what was asked for.
        """
        params: dict[str, Any] = {"ordering": "id", **(filters or {})}
        wanted = tuple(dict.fromkeys(("id", *fields)))
        if wanted != ("id",):
            params["fields"] = ",".join(wanted)
        for _ in range(2):
            rows = self._read_once(path, params)
            if rows is not None:
                return rows
        raise UnprovenReadError(200, f"{path} changed while it was read, twice")

    def _read_once(self, path: str, params: Mapping[str, Any]) -> list[Row] | None:
        rows: list[Row] = []
        total = None
        pages = 0
        while True:
            after = {"id__gt": rows[-1]["id"]} if rows else {}
            page, remaining = self._page(path, {**params, **after, "limit": PAGE})
            pages += 1
            total = remaining if total is None else total
            ids = [row["id"] for row in page]
            if ids != sorted(set(ids)) or (rows and page and ids[0] <= rows[-1]["id"]):
                raise UnusableAnswerError(200, f"{path} is not ordered by id")
            rows += page
            if len(rows) - len(page) + remaining != total:
                return None
            if len(page) == remaining:
                break
            if not page:
                return None
        if pages > 1 and self.count(path, params) != total:
            return None
        return rows

    def latest(self, path: str, filters: Mapping[str, Any], fields: Iterable[str], most: int) -> list[Row]:
        """The newest objects below `path`, at most `most` (1 to `PAGE`), the newest first."""
        params = {**filters, "ordering": "-id", "fields": ",".join(dict.fromkeys(("id", *fields))), "limit": most}
        return self._page(path, params)[0]

    def pages(
        self, path: str, filters: Mapping[str, Any] | None = None, fields: Iterable[str] = (), size: int = PAGE
    ) -> Iterator[list[Row]]:
        """The objects below `path` page by page, by id: what is there all the while is met, and met once.

        For whoever acts on what is there, and holds no more than a page; absence is proved by `read` alone.
        """
        params = {
            "ordering": "id",
            **(filters or {}),
            "fields": ",".join(dict.fromkeys(("id", *fields))),
            "limit": size,
        }
        last = -1
        while True:
            page, remaining = self._page(path, params if last < 0 else {**params, "id__gt": last})
            ids = [row["id"] for row in page]
            if ids != sorted(set(ids)) or (page and ids[0] <= last):
                raise UnusableAnswerError(200, f"{path} is not ordered by id")
            if page:
                last = ids[-1]
                yield page
            if not page or len(page) >= remaining:
                return

    def _page(self, path: str, params: Mapping[str, Any]) -> tuple[list[Row], int]:
        # With an offset pynetbox answers one page; without one it would follow `next` beyond our sight.
        request = self._request(path, params, offset=0)
        try:
            page, count = self._send(lambda: list(request.get()), path), request.count
            if isinstance(count, int) and all(isinstance(row["id"], int) for row in page):
                return page, count
        except (AttributeError, KeyError, TypeError):
            pass  # said below, with what was expected
        raise UnusableAnswerError(200, f"{path}: not a list of objects with a count")

    def page(
        self, path: str, filters: Mapping[str, Any], fields: Iterable[str] = (), limit: int = PAGE
    ) -> tuple[list[Row], int]:
        """The first `limit` objects below `path` that `filters` let through, and how many there are in all.

        By id, unless `filters` name another `ordering`.
        """
        wanted = ",".join(dict.fromkeys(("id", *fields)))
        return self._page(path, {"ordering": "id", **filters, "fields": wanted, "limit": limit})

    def count(self, path: str, filters: Mapping[str, Any] | None = None) -> int:
        """How many objects below `path` the filters let through."""
        params = {key: value for key, value in (filters or {}).items() if key not in ("fields", "ordering")}
        return self._page(path, {**params, "limit": 1, "fields": "id"})[1]

    def _request(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        offset: int | None = None,
        session: BoundedSession | None = None,
    ) -> Request:
        base = f"{self._api.base_url}/{path}"
        return Request(base, session or self._session, filters=params, offset=offset, token=self._api.token)

    def _send(self, send: Callable[[], Any], path: str, rows: Sequence[Mapping[str, Any]] = ()) -> Any:
        """One request, with pynetbox's errors turned into ours."""
        self.deadline.check(f"asking NetBox for {path}")
        with self._counting:
            self.requests += 1
        try:
            return send()
        except (RequestError, AllocationError) as refused:
            raise refusal(refused.req, rows) from refused
        except ContentError as unusable:
            raise UnusableAnswerError(unusable.req.status_code, f"{path}: the answer is not JSON") from unusable
        except (ValueError, RecursionError) as unreadable:
            # JSON all right, but with a number or a depth that Python refuses; pynetbox lets these pass.
            raise UnusableAnswerError(200, f"{path}: the answer cannot be read as JSON: {unreadable}") from unreadable


class NetBox(NetBoxReader):
    """One NetBox, for one invocation, to read and to write in bulk.

    Each bulk request has a connection of its own. An idle one may be closed by NetBox at the moment in which it is used
    again, and a write must not be sent twice (RFC 9110 9.2.2); and one that is kept stays with the worker of NetBox
    that took it, be it busy while another one is not.
    """

    def __init__(self, url: str, token: str, deadline: Deadline, *, ca_file: str | None = None) -> None:
        super().__init__(url, token, deadline, ca_file=ca_file)
        self._writing = BoundedSession(self._session.bounds, verify=ca_file or True)
        self._writing.headers["Connection"] = "close"
        self._writing.hooks["response"].append(self._note)

    def close(self) -> None:
        """Close the connections."""
        super().close()
        self._writing.close()

    def create(self, path: str, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Create `rows` in one request, all or none; the created objects in the same order."""
        return self._bulk(path, "post", rows)

    def update(self, path: str, rows: Sequence[Mapping[str, Any]], seen: Sequence[str] = ()) -> list[Row]:
        """Change `rows` (each with its `id` and the fields to change) in one request, all or none.

        `seen` are the `last_updated` of these objects as they were read (`MOST_SEEN` at most): if one was changed
        since, nothing is, and `StaleObjectError` is raised (`netbox.md` §4: seen with NetBox, not documented).
        """
        if not seen:
            return self._bulk(path, "patch", rows)
        etags = ", ".join(etag_of({"last_updated": one}) for one in seen)
        return self._answered(path, rows, self._patched(self._writing, f"{path}/", list(rows), etags, rows))

    def change(self, path: str, row: Mapping[str, Any], fields: Mapping[str, Any]) -> Row:
        """Change one object, if it still is what `row` was read as (`id`, `last_updated`); the object as it is now.

        NetBox (4.6 and later) compares the ETag under a row lock, so of two writers at once one gets
        `StaleObjectError`, and has changed nothing.
        """
        changed = self._patched(self._session, f"{path}/{row['id']}/", dict(fields), etag_of(row))
        if not isinstance(changed, dict) or changed.get("id") != row["id"] or "last_updated" not in changed:
            raise UnusableAnswerError(200, f"{path}: the answer is not the object that was changed")
        return changed

    def _patched(
        self, session: BoundedSession, place: str, body: Any, etags: str, rows: Sequence[Mapping[str, Any]] = ()
    ) -> Any:
        version = "Bearer" if str(self._api.token).startswith("nbt_") else "Token"
        headers = {"authorization": f"{version} {self._api.token}", "accept": "application/json", "If-Match": etags}

        def send() -> Any:
            answer = session.patch(f"{self._api.base_url}/{place}", json=body, headers=headers)
            if not answer.ok:
                raise RequestError(answer)
            return answer.json()

        try:
            return self._send(send, place.rstrip("/"), rows)
        except NetBoxError as refused:
            if refused.status == 412:
                raise StaleObjectError(412, f"{place} was changed meanwhile") from refused
            raise

    def delete(self, path: str, ids: Sequence[int], permit: DeletePermit) -> None:
        """Delete the objects with `ids` in one request, all or none.

        Raises `UnpermittedDeleteError`, before anything is sent, unless `permit` is one and names every one of them.
        """
        asked = {(path, id_) for id_ in ids}
        if type(permit) is not DeletePermit or not asked or not asked <= permit.objects:
            raise UnpermittedDeleteError(f"no permit to delete {len(asked)} objects below {path}")
        rows = [{"id": id_} for id_ in ids]
        request = self._request(path, session=self._writing)
        self._send(lambda: request.delete(rows), path, rows)

    def _bulk(self, path: str, verb: str, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        request = self._request(path, session=self._writing)
        send = request.post if verb == "post" else request.patch
        return self._answered(path, rows, self._send(lambda: send(list(rows)), path, rows))

    def _answered(self, path: str, rows: Sequence[Mapping[str, Any]], answer: Any) -> list[Row]:
        """The objects of an answer to a bulk request, in the order of `rows`; new ones come in it already."""
        if not isinstance(answer, list) or len(answer) != len(rows):
            raise UnusableAnswerError(200, f"{path}: {len(rows)} objects were sent, the answer is not as many")
        if all("id" in row for row in rows):
            by_id = {row.get("id"): row for row in answer if isinstance(row, dict)}
            answer = [by_id.get(row["id"]) for row in rows]
        if not all(isinstance(row, dict) and isinstance(row.get("id"), int) for row in answer):
            raise UnusableAnswerError(200, f"{path}: the answer names no ids")
        return list(answer)


def etag_of(row: Mapping[str, Any]) -> str:
    """The ETag of an object that was read: NetBox makes it of `last_updated` (`netbox.md` §4)."""
    return f'W/"{str(row["last_updated"]).replace("Z", "+00:00")}"'
