"""Addresses, prefixes and MAC addresses of a fabric, in the one way of writing that NetBox gives back."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from functions.translate.spec import Spec

type Network = IPv4Network | IPv6Network
type Address = IPv4Address | IPv6Address

_LENGTH = re.compile(r"\d{1,3}")
_MAC = re.compile(r"[0-9a-f]{12}")


def network_at(spec: Spec, *path: str) -> Network | None:
    """The prefix at `path`, None if absent; one that is none is noted at its object."""
    text = spec.text(*path)
    found = as_network(text) if text else None
    if text and found is None:
        spec.malformed(path, f"is {text}, which is no prefix")
    return found


def address_at(spec: Spec, *path: str) -> tuple[Address, int | None] | None:
    """The address at `path` and its prefix length where one is written; one that is none is noted at its object."""
    text = spec.text(*path)
    found = as_address(text) if text else None
    if text and found is None:
        spec.malformed(path, f"is {text}, which is no address")
    return found


def as_network(text: str) -> Network | None:
    """`text` as a prefix, bits of a host in it left out (manuals write `10.99.0.1/24`); None if it is none."""
    parts = as_address(text)
    if parts is None:
        return None
    address, length = parts
    return ip_network((address, address.max_prefixlen if length is None else length), strict=False)


def as_address(text: str) -> tuple[Address, int | None] | None:
    """`10.0.1.1/24` as (10.0.1.1, 24), `10.0.1.1` as (10.0.1.1, None); None if it is neither."""
    host, slash, length = text.partition("/")
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return None
    if not slash:
        return address, None
    if not _LENGTH.fullmatch(length) or int(length) > address.max_prefixlen:
        return None
    return address, int(length)


def written(address: Address, length: int | None = None) -> str:
    """The address as NetBox writes it: always with a prefix length, the whole address where none is known."""
    return f"{address}/{address.max_prefixlen if length is None else length}"


def unfit(address: Address, length: int) -> str | None:
    """Why NetBox lets no interface have the address (`IPAddress.clean`); None if one can."""
    host_bits = address.max_prefixlen - length
    hosts = int(address) & ((1 << host_bits) - 1)
    if length == 0:
        return "which has no network part"
    if host_bits > 1 and hosts == 0:
        return "which is the network's own address"
    if host_bits > 1 and address.version == 4 and hosts == (1 << host_bits) - 1:
        return "which is the network's broadcast address"
    return None


def as_mac(text: str) -> str | None:
    """`text` as NetBox writes a MAC address (`02:00:00:00:00:0A`); None if it is none of 48 bits."""
    digits = re.sub(r"[:.-]", "", text.lower())
    if not _MAC.fullmatch(digits):
        return None
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2)).upper()
