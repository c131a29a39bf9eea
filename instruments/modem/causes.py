"""Names of the causes by which a network refuses a device (24.301 sections 9.9.3.9 and 9.9.4.4; 24.501 annex A)."""

from __future__ import annotations

from bench.station.network import EMM_CAUSES as EMM
from bench.trace.causes import ESM, FIVE_GMM

__all__ = ["EMM", "ESM", "emm", "esm", "five_gmm"]


def emm(cause: int | None) -> str:
    """Return the name of an EMM cause, empty when there is none."""
    return EMM.get(cause, "") if cause is not None else ""


def five_gmm(cause: int | None) -> str:
    """Return the name of a 5GMM cause (24.501 annex A), empty when there is none."""
    return FIVE_GMM.get(cause, emm(cause)) if cause is not None else ""


def esm(cause: int | None) -> str:
    """Return the name of an ESM cause, empty when there is none."""
    return ESM.get(cause, "") if cause is not None else ""
