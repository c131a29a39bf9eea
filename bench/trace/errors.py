"""Errors of the trace."""

from __future__ import annotations

from bench.errors import BenchError


class TraceError(BenchError):
    """The trace cannot be written or read: no space, no permission, or no pcapng file at all."""
