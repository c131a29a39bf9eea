"""Cycles as a Parquet file, for notebooks: one row a cycle, parameters, phases and figures as columns of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.soak.index import Cycle

_PLAIN: Final = (
    "run", "soak", "station", "cycle", "label", "verdict", "device", "bench", "baseline", "elapsed", "real", "wall",
    "signature", "sample", "firmware",
)  # fmt: skip


def columns(cycles: Sequence[Cycle]) -> dict[str, list[Any]]:
    """Return the columns by name, ``None`` where a cycle has no value."""
    found: dict[str, list[Any]] = {name: [getattr(cycle, name) for cycle in cycles] for name in _PLAIN}
    for kind in ("parameters", "phases", "figures", "used"):
        names = sorted({name for cycle in cycles for name in cycle.data.get(kind, {})})
        for name in names:
            values = [cycle.data.get(kind, {}).get(name) for cycle in cycles]
            numbers = all(value is None or (isinstance(value, int | float) and value is not True) for value in values)
            found[f"{kind}.{name}"] = [
                None if value is None else float(value) if numbers else str(value) for value in values
            ]
    return found


def write(cycles: Sequence[Cycle], path: Path) -> int:
    """Write the cycles; return how many. Raises BenchError without pyarrow, OSError."""
    try:
        import pyarrow  # type: ignore[import-not-found,import-untyped,unused-ignore]
        from pyarrow import parquet  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError as error:
        raise BenchError(
            "Parquet needs pyarrow", where=str(path), hint="pip install 'esim-bench[parquet]', or use --json"
        ) from error
    parquet.write_table(pyarrow.table(columns(cycles)), path, compression="zstd")
    return len(cycles)
