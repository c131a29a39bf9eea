"""Errors of the RSP layer."""

from __future__ import annotations

from bench.errors import BenchError


class RspError(BenchError):
    """A remote SIM provisioning message, certificate or key could not be used."""


class DecodeError(RspError, ValueError):
    """Bytes from outside are not what the standard says; ``what`` names the tag or field, ``where`` the type."""


class EncodeError(RspError, ValueError):
    """A value given to the codec does not fit its ASN.1 type: a fault of the caller."""
