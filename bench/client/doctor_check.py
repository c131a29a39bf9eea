"""What a check of ``bench doctor`` finds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["ok", "warn", "fail", "unknown"]


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: ``fail`` means that a run would not work, ``warn`` that it might not."""

    name: str
    state: State
    text: str
    hint: str = ""


Look = Callable[[Mapping[str, Any]], Awaitable[list[Check]]]
"""What is done with a running service, given its announcement."""
