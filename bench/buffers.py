"""What asyncio reads at once: less than it takes by itself, in processes that go on for days."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Final

STREAM: Final = 32 * 1024
"""Bytes: two TLS records (RFC 8446 section 5.1)."""
DATAGRAM: Final = 64 * 1024
"""Bytes: no UDP datagram is cut (RFC 768)."""


def limit() -> None:
    """Have every transport that this process makes from now on read ``STREAM`` or ``DATAGRAM`` bytes at once.

    asyncio takes 256 kB for each read and cuts it down to what came, and 256 kB for each TLS connection: room for these
    has to be found again and again between what stays, so that the heap of a process that serves new connections all
    night grew by about 1 kB a cycle of a soak although it kept nothing.
    """
    from asyncio import selector_events, sslproto, unix_events

    sizes: Sequence[tuple[ModuleType, str, int]] = (
        (sslproto, "SSLProtocol", STREAM),
        (selector_events, "_SelectorSocketTransport", STREAM),
        (selector_events, "_SelectorDatagramTransport", DATAGRAM),
        (unix_events, "_UnixReadPipeTransport", STREAM),
    )
    for module, name, size in sizes:
        # No part of asyncio's interface: a Python that has it no longer reads as it likes.
        transport = getattr(module, name, None)
        if transport is not None:
            transport.max_size = size
