"""Certificates of the tests' own, made in memory: an authority, servers on loopback, and clients."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM texts."""

    certificate: str
    key: str = field(repr=False)


@cache
def authority() -> Pair:
    """A certificate authority of this process's own."""
    return _issue("authority of the tests", None)


@cache
def stranger() -> Pair:
    """Another authority, which nobody should trust."""
    return _issue("somebody else", None)


@cache
def certificate(name: str = "server", *, address: str = "127.0.0.1") -> Pair:
    """A certificate by that authority, for `address` (and as a client, for `name`)."""
    return _issue(name, authority(), address)


def server_context(*, demand_client: bool = False) -> ssl.SSLContext:
    """TLS for a server on 127.0.0.1, optionally with client certificates of the same authority demanded."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as place:
        pair = Path(place) / "server.pem"
        pair.write_text(certificate().certificate + certificate().key)
        context.load_cert_chain(pair)
    if demand_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=authority().certificate)
    return context


def _issue(name: str, issuer: Pair | None, address: str = "127.0.0.1") -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    if issuer is None:
        signer, signed_by = key, subject
    else:
        signer = serialization.load_pem_private_key(issuer.key.encode(), None)  # type: ignore[assignment]
        signed_by = x509.load_pem_x509_certificate(issuer.certificate.encode()).subject
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signed_by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=6))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        # Python 3.13 verifies strictly (RFC 5280): these must be there.
        .add_extension(_usage(authority=issuer is None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if issuer is not None:
        built = built.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
    return Pair(
        built.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
