"""Records as translation makes them, for tests that compare and apply without a fabric."""

from __future__ import annotations

from functions.records import Record, Ref, Value

SHARED = (
    Record("manufacturer", "acme", {"name": "Acme", "slug": "acme"}),
    Record("device_role", "leaf", {"name": "Leaf", "slug": "leaf", "color": "112233"}),
    Record(
        "device_type",
        "acme-box",
        {"manufacturer": Ref("manufacturer", "acme"), "model": "Box", "slug": "acme-box", "u_height": 1.0},
    ),
)
MANAGED = frozenset({"fabric-managed"})


def device(fabric: str, name: str, **fields: Value) -> Record:
    wanted: dict[str, Value] = {
        "name": name,
        "device_type": Ref("device_type", "acme-box"),
        "role": Ref("device_role", "leaf"),
        "site": Ref("site", fabric),
        "cluster": Ref("cluster", fabric),
        "status": "active",
        "serial": "",
    }
    return Record("device", f"{fabric}/Switch/default/{name}", {**wanted, **fields}, {"fabric_asn": 65_001}, MANAGED)


def port(of: Record, name: str, **fields: Value) -> Record:
    wanted: dict[str, Value] = {"device": Ref("device", of.key), "name": name, "type": "25gbase-x-sfp28"}
    return Record("interface", f"{of.key}#{name}", {**wanted, **fields}, {}, MANAGED)


def cable(fabric: str, name: str, a: Record, b: Record) -> Record:
    ends = {"a_terminations": (Ref("interface", a.key),), "b_terminations": (Ref("interface", b.key),)}
    return Record("cable", f"{fabric}/Connection/default/{name}", {**ends, "status": "connected"}, {}, MANAGED)
