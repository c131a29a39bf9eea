"""The key of an order at a server: what is sent again with the same key is the same order.

An interruption between a server's taking an order and the journal's having it leaves nothing that says so. Whoever
leads a recipe back (``bench.engine.retrace``) gives the order the key that it had before; who sends it asks here.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_SPACE: Final = uuid.UUID("8f0d3c1e-5d53-4c6f-9a57-0f5f3f3b8a2d")
_given: ContextVar[str] = ContextVar("order key", default="")


def order_key() -> str:
    """Return the key of the order that is being placed: the one given, else one that nothing had before. A UUID."""
    return _given.get() or str(uuid.uuid4())


@contextmanager
def same_order(what: str) -> Iterator[None]:
    """Have the order placed within have a key made of ``what``: the same again for the same text."""
    token = _given.set(str(uuid.uuid5(_SPACE, what)))
    try:
        yield
    finally:
        _given.reset(token)
