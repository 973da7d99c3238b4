"""What can go wrong with a request over the network, and the error that says so; to know it needs no HTTP library."""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """What went wrong between here and the other side (running out of time is `DeadlineExceeded`, not one of these)."""

    DNS = "dns"  # the name has no address
    REFUSED = "refused"  # nothing listens on that port
    UNREACHABLE = "unreachable"  # no way to that address
    TLS = "tls"  # the handshake failed: certificate, name, protocol version, client certificate
    RESET = "reset"  # the connection was closed before the answer was complete
    TOO_LARGE = "too_large"  # the answer is larger than the cap, on the wire or unpacked
    REDIRECT = "redirect"  # the answer points elsewhere; credentials do not travel
    PROTOCOL = "protocol"  # what came back is not HTTP, or the address is not a URL


class TransportError(Exception):
    """A request got no usable answer.

    `fault` says why (closed list), `host` whom it was sent to ("name:port"), `detail` what was seen. Carries no URL
    and no header, so that no credential can end up in a log line.
    """

    def __init__(self, fault: Fault, host: str, detail: str) -> None:
        super().__init__(f"{host}: {detail} ({fault})")
        self.fault = fault
        self.host = host
        self.detail = detail
