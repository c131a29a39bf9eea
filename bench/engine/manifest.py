"""What run.json says about where a run took place: host, versions."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any, Final

_PACKAGES: Final = ("esim-bench", "cryptography", "aiohttp", "asn1tools", "pyserial", "PyVISA", "PyVISA-py")


def environment() -> dict[str, Any]:
    """Return ``host`` and ``versions``."""
    from importlib.metadata import PackageNotFoundError, version

    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    system = os.uname()
    return {
        "host": {
            "name": system.nodename,
            "system": f"{system.sysname} {system.release}",
            "machine": system.machine,
            "processors": os.cpu_count(),
            "python": sys.executable,
            "clock": _clock(),
        },
        "versions": versions,
    }


def _clock() -> str:
    """Return whether NTP or PTP keeps the wall clock right: without it no other party's times can be compared."""
    import ctypes

    try:  # adjtimex(2) with no modes only reads; TIME_ERROR says that nobody synchronises the clock
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return ""
    return "synchronised" if state not in (-1, 5) else "not synchronised"
