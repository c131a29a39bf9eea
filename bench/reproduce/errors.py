"""Errors of scenarios and of what is made from them."""

from __future__ import annotations

from bench.errors import BenchError, ConfigurationError


class ScenarioError(ConfigurationError):
    """A scenario file says something that is not understood: nothing was played."""


class ReproduceError(BenchError):
    """A scenario could not be played, judged or minimised; the device is not to blame."""
