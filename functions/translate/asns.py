"""AS numbers: one object each for all fabrics, since NetBox has each number once; a fabric adds its site to it."""

from __future__ import annotations

from collections.abc import Iterator

from functions.records import Record, Ref
from functions.translate.inventory import GATEWAY_KIND, SWITCH
from functions.translate.scene import Scene

ASN_MAX = 4_294_967_295

PRIVATE_RANGES = (range(64_512, 65_535), range(4_200_000_000, ASN_MAX))
"""RFC 6996."""

_PRIVATE = Record("rir", "private", {"name": "Private", "slug": "private", "is_private": True})
_PUBLIC = Record("rir", "public", {"name": "Public", "slug": "public", "is_private": False})


def translate(scene: Scene) -> Iterator[Record]:
    """The AS numbers of switches and gateways."""
    for device in scene.inventory.devices:
        if device.thing.kind in (SWITCH, GATEWAY_KIND) and (asn := device.thing.spec.number("asn", high=ASN_MAX)):
            yield from records(scene.fabric.site, asn)


def ref(asn: int) -> Ref:
    """The record of an AS number."""
    return Ref("asn", str(asn))


def records(site: str, asn: int) -> Iterator[Record]:
    """The AS number as used at `site` (slug), and the registry it is put under: private ones (RFC 6996) apart.

    Which registry gave out a public number is not known here; the object's registry is set once, and people refine it.
    """
    rir = _PRIVATE if any(asn in span for span in PRIVATE_RANGES) else _PUBLIC
    yield rir
    yield Record("asn", ref(asn).key, {"asn": asn, "rir": Ref(rir.model, rir.key), "sites": (Ref("site", site),)})
