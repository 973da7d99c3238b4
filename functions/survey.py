"""Read what NetBox holds of a fabric: the objects that it owns, and the shared ones that its records refer to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final
from urllib.parse import quote

from functions.actual import Actual, Existing, existing_of
from functions.beginnings import beginnings
from functions.errors import Code, Problem, SyncStopped
from functions.fabric import Fabric
from functions.fields import KEY, NAME
from functions.records import MODELS, Ref, Shape
from infra.deadline import DeadlineExceeded
from infra.netbox import NetBoxReader, Row

KEYS_PER_REQUEST: Final = 100
"""Slugs asked for in one request: NetBox's request line holds 4,094 bytes."""

GRACE: Final = 0.5
"""Seconds after the deadline in which a read that ends by it comes back."""

MOST_KEYS: Final = 4
"""Keys of one unit that are asked for one by one; with as many or more, all of the unit's are."""

LINE: Final = 3000
"""Bytes of it for the keys that are asked for; the rest is for the fields."""


def survey(
    netbox: NetBoxReader,
    fabric: Fabric,
    wanted: Iterable[Ref],
    on_model: Callable[[str, int], None] = lambda model, count: None,
    at_once: int = 1,
) -> Actual:
    """What NetBox holds of `fabric`: every owned model in full, and the `wanted` records of shared and named models.

    Up to `at_once` models are read at the same time; an error ends it when those on their way have ended. Raises
    `SyncStopped` when NetBox ignored the filter by fabric: what came back is then not ours.
    """
    actual = Actual({}, {Ref("site", fabric.site): fabric.site_id, Ref("cluster", fabric.name): fabric.cluster_id})
    keys = _keys(wanted, actual)
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="survey")
    try:
        by_key = {name: pool.submit(_read_by_key, netbox, name, sorted(some)) for name, some in keys.items()}
        # Interfaces first: they are most of a fabric, and the others are read meanwhile.
        ours = sorted((n for n, m in MODELS.items() if not (m.shared or m.named)), key=lambda n: n != "interface")
        by_fabric = {name: pool.submit(_read_owned, netbox, name, fabric.name, _all_fields(name)) for name in ours}
        for name, found in by_key.items():
            _take_in(name, _read(found, netbox), actual)
        _take_in_owned(((name, by_fabric[name]) for name in MODELS if name in by_fabric), netbox, actual, on_model)
    except DeadlineExceeded as late:
        raise DeadlineExceeded(_how_far(late, actual)) from late
    finally:
        pool.shutdown(cancel_futures=True)
    return actual


def _how_far(late: DeadlineExceeded, actual: Actual) -> str:
    """What there was no time for, and whether it may be the fabric that is too large, and not NetBox that hangs."""
    read = sum(map(len, actual.owned.values()))
    if not read:
        return str(late)
    return (
        f"{late}; {read} objects of the fabric were read by then, and one run has to compare them all: "
        "where NetBox is no slower than usual, this fabric wants a longer FABRIC_SYNC_DEADLINE_S"
    )


def _read(reading: Future[list[Row]], netbox: NetBoxReader) -> list[Row]:
    """What a thread read. It ends by NetBox's deadline itself; who waits for it is not to depend on that."""
    try:
        return reading.result(timeout=max(0.0, netbox.deadline.left()) + GRACE)
    except TimeoutError as late:
        raise DeadlineExceeded("no time left for reading NetBox") from late


def _take_in_owned(
    reading: Iterable[tuple[str, Future[list[Row]]]],
    netbox: NetBoxReader,
    actual: Actual,
    on_model: Callable[[str, int], None],
) -> None:
    """Take in the owned models in their order: cables after the interfaces, which say where they end."""
    ends: dict[int, dict[str, set[int]]] = {}
    for name, read in reading:
        rows = _read(read, netbox)
        actual.owned[name] = {}
        for row in rows:
            if name == "interface" and row.get("cable"):
                side = ends.setdefault(row["cable"]["id"], {"A": set(), "B": set()})
                side.setdefault(row.get("cable_end") or "A", set()).add(row["id"])
            _own(actual, name, existing_of(name, row, ends))
        on_model(name, len(rows))


def survey_units(
    netbox: NetBoxReader,
    fabric: Fabric,
    units: Mapping[str, Collection[str]],
    unit_of: Callable[[str, str], str],
    refs: Collection[Ref],
    known: Mapping[str, Collection[str]],
    at_once: int = 1,
) -> Actual:
    """What NetBox holds of `fabric` in `units` (each with the models to look for), and the ids of `refs` besides.

    `known` are all units of the fabric, in the same form. Up to `at_once` requests are on their way at
    the same time. Raises as `survey` does.
    """
    actual = Actual({}, {Ref("site", fabric.site): fabric.site_id, Ref("cluster", fabric.name): fabric.cluster_id})
    keys = _keys((ref for ref in refs if MODELS[ref.model].shared or MODELS[ref.model].named), actual)
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="survey")
    try:
        by_key = {name: pool.submit(_read_by_key, netbox, name, sorted(some)) for name, some in keys.items()}
        asked: dict[str, tuple[set[str], set[str], list[Future[list[Row]]]]] = {}
        for name in (name for name, model in MODELS.items() if not (model.shared or model.named)):
            mine = {unit for unit, models in units.items() if name in models}
            others = {ref.key for ref in refs if ref.model == name and unit_of(name, ref.key) not in mine}
            every = {unit for unit, models in known.items() if name in models}
            questions = _questions(name, mine, others, every, unit_of)
            reads = [pool.submit(_read_owned, netbox, name, fabric.name, *one) for one in questions]
            asked[name] = mine, others, reads
        for name, found in by_key.items():
            _take_in(name, _read(found, netbox), actual)
        for name, (mine, others, reads) in asked.items():
            actual.owned[name] = {}
            seen: set[int] = set()
            for row in (row for read in reads for row in _read(read, netbox)):
                key = row["custom_fields"].get(KEY) or ""
                if row["id"] not in seen and unit_of(name, key) in mine:
                    _own(actual, name, existing_of(name, row))
                elif key in others:
                    actual.ids[Ref(name, key)] = row["id"]
                seen.add(row["id"])
    finally:
        pool.shutdown(cancel_futures=True)
    return actual


def _all_fields(name: str) -> tuple[str, ...]:
    """The fields that a whole survey reads: interfaces tell where cables end."""
    return (*fields_to_read(name), *(("cable", "cable_end") if name == "interface" else ()), "tags")


type Question = tuple[Sequence[str], Mapping[str, object]]
"""Fields to read, and filters."""


def _questions(
    name: str,
    mine: Collection[str],
    others: Collection[str],
    known: Collection[str],
    unit_of: Callable[[str, str], str],
) -> Iterator[Question]:
    """The requests that find the objects of one model in the units `mine`, and the ids of `others` by their keys.

    One asks for both where it can. Else the others' ids alone are asked for: by the key, or where several are parts of
    one unit, by what their keys begin with. A key costs NetBox 8 ms among 7,000 interfaces, a row for its id 0.3 ms.
    """
    # Cables with their own terminations: the interfaces, which tell them to a whole survey, are not all read.
    whole = (*fields_to_read(name), *(MODELS[name].natural if name == "cable" else ()), "tags")
    begins = beginnings(mine, known)
    lines = list(_lines(sorted({*begins, *others})))
    if len(lines) <= 1:
        yield from ((whole, {f"cf_{KEY}__isw": some}) for some in lines)
        return
    yield from ((whole, {f"cf_{KEY}__isw": some}) for some in _lines(begins))
    parts: dict[str, list[str]] = {}
    for key in sorted(others):
        parts.setdefault(unit_of(name, key), []).append(key)
    alone = [key for keys in parts.values() if len(keys) < MOST_KEYS for key in keys]
    several = {unit for unit, keys in parts.items() if len(keys) >= MOST_KEYS}
    yield from (((), {f"cf_{KEY}": some}) for some in _lines(alone))
    yield from (((), {f"cf_{KEY}__isw": some}) for some in _lines(beginnings(several, known)))


def _own(actual: Actual, name: str, existing: Existing) -> None:
    key = existing.custom.get(KEY)
    if not key:
        return  # somebody gave it the fabric's name; without a key it was never ours
    if key in actual.owned[name]:
        # NetBox checks that a custom field is unique, but two racing writers both get in.
        key = f"{key} again, id {existing.id}"
    actual.owned[name][key] = existing
    actual.ids[Ref(name, key)] = existing.id


def _lines(values: list[str]) -> Iterator[list[str]]:
    """`values` in parts that fit into a request line."""
    some: list[str] = []
    length = 0
    for value in values:
        more = len(quote(value, safe="")) + len(f"&cf_{KEY}__isw=")
        if some and length + more > LINE:
            yield some
            some, length = [], 0
        some.append(value)
        length += more
    if some:
        yield some


def _keys(wanted: Iterable[Ref], actual: Actual) -> dict[str, set[str]]:
    """By model, the keys of what is wanted and not known yet."""
    keys: dict[str, set[str]] = {}
    for ref in wanted:
        if ref not in actual.ids:
            keys.setdefault(ref.model, set()).add(ref.key)
    return keys


def survey_by_key(netbox: NetBoxReader, name: str, keys: list[str], actual: Actual) -> None:
    """Take in the shared or named objects of one model by what names them: the slug, the AS number, the name."""
    _take_in(name, _read_by_key(netbox, name, keys), actual)


def _read_by_key(netbox: NetBoxReader, name: str, keys: list[str]) -> list[Row]:
    model = MODELS[name]
    natural = model.natural[0]
    seen = ("last_updated",) if model.mixed else ()
    fields = (*fields_to_read(name), "tags") if model.named else (natural, *model.mixed, *seen)
    found: list[Row] = []
    for at in range(0, len(keys), KEYS_PER_REQUEST):
        some = keys[at : at + KEYS_PER_REQUEST]
        found += [row for row in netbox.read(model.path, {natural: some}, fields) if str(row.get(natural)) in some]
    return found


def _take_in(name: str, rows: Iterable[Row], actual: Actual) -> None:
    model = MODELS[name]
    for row in rows:
        key = str(row.get(model.natural[0]))
        ref = Ref(name, key)
        actual.ids[ref] = row["id"]
        if model.named:
            actual.owned.setdefault(name, {})[key] = existing_of(name, row)
        elif model.mixed:
            actual.shared[ref] = existing_of(name, row)


def fields_to_read(name: str) -> Iterator[str]:
    """The fields to read of a model, and where others write into them, when it was changed. A cable's ends are read
    from its interfaces: with its own terminations a cable costs NetBox twenty times as much."""
    if MODELS[name].mixed:
        yield "last_updated"
    for field, spec in MODELS[name].fields.items():
        if spec.shape is Shape.GENERIC:
            yield from (f"{field}_type", f"{field}_id")
        elif spec.shape is not Shape.ENDS:
            yield field


def _read_owned(
    netbox: NetBoxReader, name: str, fabric: str, fields: Iterable[str], filters: Mapping[str, object] | None = None
) -> list[Row]:
    """The fabric's rows of one model: `fields`, and the custom fields by which they are known."""
    rows = netbox.read(MODELS[name].path, {f"cf_{NAME}": fabric, **(filters or {})}, (*fields, "custom_fields"))
    for row in rows:
        if (row.get("custom_fields") or {}).get(NAME) != fabric:
            raise SyncStopped(
                Problem(
                    Code.NETBOX_NOT_READY,
                    f"asked for the {name} objects of fabric {fabric}, NetBox answered with others: "
                    f"the custom field {NAME} is missing on them",
                )
            )
    return rows
