"""Read a fabric: kind by kind, each listing complete or not, and the type says which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from functions.errors import Code, Problem, Side, SyncStopped
from functions.kinds import KINDS, Kind
from functions.problems import problem_of
from functions.snapshot import Listing, Reading, Resource, Snapshot
from infra.deadline import Deadline, DeadlineExceeded
from infra.kubernetes import KubernetesClient, KubernetesError, ListExpired
from infra.kubernetes import Resource as ApiResource
from infra.transport import TransportError

PAGE: Final = 500
TRIES: Final = 3
KIND_SHARE: Final = 0.5
"""The share of the time left that one kind may take: one hung list must not cost the others theirs."""


def observe(
    fabric: str,
    client: KubernetesClient,
    deadline: Deadline,
    kinds: Iterable[Kind] = KINDS,
    on_kind: Callable[[Listing], None] = lambda listing: None,
) -> Snapshot:
    """Everything that `client` shows of `kinds`.

    A kind that discovery does not offer is ABSENT; one that cannot be listed to the end is UNREAD, with the reason.
    Raises what the doors raise when discovery fails, `SyncStopped` when not one offered kind could be read (the
    fabric is then as good as unreachable), and `DeadlineExceeded` when the whole time is used up.
    """
    client.deadline = deadline
    offered = {(resource.group, resource.kind): resource for resource in client.discover()}
    listings: dict[str, Listing] = {}
    problems: list[Problem] = []
    for kind in kinds:
        resource = offered.get((kind.group, kind.name))
        if resource is None:
            listing = Listing(kind.name, Reading.ABSENT)
        else:
            listing, problem = _listing(kind, resource, client, deadline)
            if problem is not None:
                problems.append(problem)
        listings[kind.name] = listing
        on_kind(listing)
    readings = {listing.reading for listing in listings.values()}
    if Reading.COMPLETE not in readings:
        if problems:
            raise SyncStopped(problems[0])
        raise SyncStopped(
            Problem(Code.FABRIC_BAD_ANSWER, "the API server offers no Hedgehog kind: is this a Hedgehog fabric?")
        )
    return Snapshot(fabric, listings)


def _listing(
    kind: Kind, resource: ApiResource, client: KubernetesClient, deadline: Deadline
) -> tuple[Listing, Problem | None]:
    """The listing of one kind, tried again where that may help, and what stood in the way."""
    share = deadline.within(deadline.check(f"listing {kind.name}") * KIND_SHARE)
    problem: Problem | None = None
    for _ in range(TRIES):
        client.deadline = share
        try:
            items = tuple(trimmed(item, kind) for page in client.pages(resource, limit=PAGE) for item in page.items)
            return Listing(kind.name, Reading.COMPLETE, items), None
        except (KubernetesError, TransportError, DeadlineExceeded) as error:
            problem = problem_of(error, Side.FABRIC)
            if not _again(error, share):
                break
        finally:
            client.deadline = deadline
    if problem is not None and problem.code is Code.FABRIC_UNAUTHORIZED:
        raise SyncStopped(problem)
    deadline.check(f"the kinds after {kind.name}")
    text = problem.text if problem else "not read"
    return Listing(kind.name, Reading.UNREAD, error=text, optional=kind.optional), problem


def _again(error: Exception, share: Deadline) -> bool:
    """Whether the list is worth another try now; waits as long as the server asks, where that fits."""
    if share.expired():
        return False
    if isinstance(error, ListExpired | TransportError):
        return True
    if isinstance(error, KubernetesError) and error.status in (429, 503, 504):
        wait = error.retry_after or 1.0
        return share.left() > 2 * wait and share.pause(wait)
    return False


def trimmed(item: Mapping[str, Any], kind: Kind) -> Resource:
    """The part of an object that may leave this room: for kinds that carry credentials, the allow-listed paths."""
    if kind.keep is None:
        return item
    kept: dict[str, Any] = {key: item[key] for key in ("apiVersion", "kind", "metadata") if key in item}
    metadata = kept.get("metadata")
    if isinstance(metadata, Mapping):
        kept["metadata"] = {key: value for key, value in metadata.items() if key != "annotations"}
    for path in kind.keep:
        *parents, leaf = path.split(".")
        source: Any = item
        for name in parents:
            source = source.get(name) if isinstance(source, Mapping) else None
        if isinstance(source, Mapping) and leaf in source:
            target = kept
            for name in parents:
                target = target.setdefault(name, {})
            target[leaf] = source[leaf]
    return kept
