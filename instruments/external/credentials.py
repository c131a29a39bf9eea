"""Who the bench is to a server of the lab, and whom it believes: token, client certificate, CA and pin.

A token is read from its file or environment variable when it is used, and is in no message and no lane.
"""

from __future__ import annotations

import hashlib
import os
import ssl
from pathlib import Path

from bench.errors import ConfigurationError
from instruments.external.template import Server, pin_of

_LONGEST = 16384


def token(server: Server) -> str:
    """Return the token, '' for none. Raises ConfigurationError that names where it should be, never what it is."""
    if server.token_env:
        found = os.environ.get(server.token_env, "")
        where, hint = f"${server.token_env}", f"set {server.token_env} for the user that runs bench"
    elif server.token_file:
        where, hint = server.token_file, "a file of this user with the token and nothing else (chmod 600)"
        try:
            found = Path(server.token_file).read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"the token cannot be read: {error.strerror}", where=where, hint=hint) from error
        except UnicodeDecodeError:
            found = "\n\n"
    else:
        return ""
    found = found.strip()
    if not found:
        raise ConfigurationError("there is no token", where=where, hint=hint)
    if not found.isascii() or not found.isprintable() or len(found) > _LONGEST:
        raise ConfigurationError("this is no token: it is one line of ASCII", where=where, hint=hint)
    return found


def readable_by_others(server: Server) -> str:
    """Return the first of the secret files that other users may read, '' when there is none."""
    for path in (server.token_file, server.client_key):
        try:
            if path and Path(path).stat().st_mode & 0o077:
                return path
        except OSError:
            continue
    return ""


def context(server: Server) -> ssl.SSLContext | None:
    """Return the TLS client context (1.2 at least), None for plain HTTP. Raises ConfigurationError.

    ``ca``: these CAs in place of the system's. ``pin``: the server's own public key; alone it is the whole trust, with
    ``ca`` both must fit. It is looked at within the handshake, before any byte of a request is sent.
    """
    if not server.url.startswith("https:"):
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if server.ca:
        _load(lambda: made.load_verify_locations(cafile=server.ca), "the CA file cannot be used", server.ca)
    elif server.pin:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    else:
        made.load_default_certs()
    if server.client_certificate:
        _load(
            lambda: made.load_cert_chain(server.client_certificate, server.client_key, password=_no_password),
            "client certificate and key cannot be used",
            f"{server.client_certificate}, {server.client_key}",
        )
    pin = pin_of(server.pin)
    if pin is not None:
        made.sslobject_class = _pinned(pin)
    return made


def _no_password() -> str:
    """A key with a password: nobody can be asked for it in the middle of a run."""
    raise ConfigurationError("the key has a password", hint="a key without one, readable for this user only")


def _load(action: object, what: str, where: str) -> None:
    assert callable(action)
    try:
        action()
    except ConfigurationError as error:
        raise ConfigurationError(f"{what}: {error.what}", where=where, hint=error.hint) from error
    except (OSError, ssl.SSLError) as error:
        told = getattr(error, "reason", "") or getattr(error, "strerror", "") or str(error)
        raise ConfigurationError(f"{what}: {told}", where=where, hint="PEM is due, readable for this user") from error


def _pinned(wanted: bytes) -> type[ssl.SSLObject]:
    """Return the class of TLS connections that end their handshake only with the pinned public key."""

    class Pinned(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            found = key_hash(self.getpeercert(binary_form=True) or b"")
            if found != wanted:
                told = f"sha256:{found.hex()}" if found else "none that can be read"
                raise ssl.SSLCertVerificationError(1, f"the server's key is not the pinned one but {told}")

    return Pinned


def key_hash(certificate: bytes) -> bytes:
    """Return the SHA-256 of a certificate's SubjectPublicKeyInfo (DER), b'' for what cannot be read."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
        return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    except (ValueError, UnsupportedAlgorithm):
        return b""
