"""Where an event loop is about to block: the only moment at which one can know that it has nothing ready."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from bench.errors import InstrumentError

Select = Callable[[float | None], list[Any]]


def _selector(loop: asyncio.AbstractEventLoop) -> Any:
    selector = vars(loop).get("_selector")
    if selector is None:
        raise InstrumentError(
            f"the event loop {type(loop).__name__} has no selector",
            where="station clock",
            hint="run the bench on asyncio's own loop, not on uvloop",
        )
    return selector


def hook_select(
    loop: asyncio.AbstractEventLoop, wrapper: Callable[[Select, float | None], list[Any]]
) -> Callable[[], None]:
    """Put ``wrapper(select, timeout)`` around the loop's wait for I/O; returns what removes it again.

    The only place where one can know that an event loop has nothing ready is where it is about to block: with a
    timeout that is None or positive, and nothing readable. Raises InstrumentError for a loop without a selector.
    """
    waits = _selector(loop)
    own = "select" not in vars(waits)
    inner: Select = waits.select
    active = True

    def select(timeout: float | None = None) -> list[Any]:
        return wrapper(inner, timeout) if active else inner(timeout)

    def remove() -> None:
        nonlocal active
        active = False
        if vars(waits).get("select") is select:
            if own:
                del waits.select
            else:
                waits.select = inner

    waits.select = select
    return remove
