"""The order of a run: what the front has checked and the runner carries out; kept in run.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Order:
    """Everything that makes a run reproducible but for the hardware. Values are what JSON can hold."""

    recipe: str
    """Name as typed, files as absolute paths."""
    title: str
    source_file: str
    station: str
    station_lock: str
    home: str
    runs: str
    config: str = ""
    """Absolute path of bench.toml, empty when there is none."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    """Where each parameter came from: given, default, from RAT (...)."""
    seed: int = 0
    clock: str | None = None
    eid: str = ""
    attended: bool = False
    on_hangup: str = "detach"
    label: str = ""
    world: Mapping[str, Any] = field(default_factory=dict)
    with_secrets: bool = False
    """The trace has the secrets of TLS and DTLS sessions."""
    trace_part: int = 0
    """Bytes after which the trace goes on in another file; 0: the writer's own figure."""
    passive: bool = False
    """Nothing is switched, neither by the recipe nor at the end."""
    simulated: bool = False
    by: str = ""
    """user@host who started it."""
    command: tuple[str, ...] = ()
    run: str = ""

    def data(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return asdict(self)

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Order:
        """Return the order of a mapping; keys of later versions are left out."""
        known = {item.name for item in fields(cls)}
        values = {key: value for key, value in data.items() if key in known}
        return cls(**{**values, "command": tuple(values.get("command", ()))})
