"""Google's word on who somebody is: an ID token, its signature verified with certificates fetched under a deadline."""

from __future__ import annotations

from typing import Any, Final

from functions.web.answers import Refused
from infra.deadline import Deadline, DeadlineExceeded

CERTIFICATE_SECONDS: Final = 5.0
"""How long the fetching of Google's certificates may take."""
SKEW_SECONDS: Final = 10
"""How far the clocks of Google and this machine may differ."""


def address_in(token: str, audience: str, deadline: Deadline) -> str:
    """The verified e-mail address in an ID token made for `audience`; raises `Refused`: 401, or 503 without Google."""
    from google.auth import exceptions, jwt
    from google.auth.transport.requests import Request
    from google.oauth2 import id_token

    from infra.transport import TransportError, bounded_session

    try:
        # Looked at before anything is fetched, so that nobody can make us ask Google by sending rubbish.
        decode: Any = jwt.decode
        _fit(decode(token, verify=False), audience)
        bounded = deadline.within(CERTIFICATE_SECONDS)
        with bounded_session(bounded) as session:
            verify: Any = id_token.verify_oauth2_token
            claims = verify(token, Request(session), audience, SKEW_SECONDS)
        return _fit(claims, audience)
    except (DeadlineExceeded, TransportError, exceptions.TransportError) as unreachable:
        text = "Google's certificates could not be fetched, so nobody can be known by them"
        raise Refused(503, "google_unreachable", text) from unreachable
    except (ValueError, exceptions.GoogleAuthError) as wrong:
        raise Refused(401, "unauthorized", "this ID token is not taken", headers=_CHALLENGE) from wrong


_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="fabric-sync", error="invalid_token"'}


def _fit(claims: Any, audience: str) -> str:
    """The address in claims that are for us; raises `ValueError`."""
    address = claims.get("email")
    if claims.get("aud") != audience or claims.get("email_verified") is not True or not isinstance(address, str):
        raise ValueError("the token is for others, or names nobody")
    return address
