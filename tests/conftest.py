"""What all tests share: property tests draw the same examples every time and are not timed."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("bench", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("bench")
