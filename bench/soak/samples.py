"""What samples (cards, modules) have used in their lives: one small file a soak, added up. Nothing is counted twice."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.run import folder as places


def _folder(soak: Path) -> Path:
    return soak.parent.parent / "samples"


def write(soak: Path, used: Mapping[str, Mapping[str, float]]) -> None:
    """Keep what this soak has used so far, by sample (EID or IMEI). Raises OSError."""
    folder = _folder(soak)
    folder.mkdir(parents=True, exist_ok=True)
    places.write_json(folder / f"{soak.name}.json", {"soak": soak.name, "used": used})


def life(soak: Path, sample: str, *, others_only: bool = False) -> dict[str, float]:
    """Return what a sample has used in all soaks, or in all but this one."""
    total: dict[str, float] = {}
    with contextlib.suppress(OSError):
        for file in _folder(soak).glob("*.json"):
            if others_only and file.stem == soak.name:
                continue
            used: Any = places.read_json(file).get("used")
            mine = used.get(sample) if isinstance(used, dict) else None
            for name, count in (mine if isinstance(mine, dict) else {}).items():
                if isinstance(count, int | float):
                    total[name] = total.get(name, 0.0) + count
    return total
