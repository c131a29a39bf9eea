"""Errors of handing over."""

from __future__ import annotations

from bench.errors import BenchError


class HandoverError(BenchError):
    """A bundle cannot be made: a run that is not there, no space, or a table that belongs to another recipient."""


class IdentifiersLeft(HandoverError):
    """The check has found identifiers in what was to be handed over: nothing was written."""
