"""Packets of TLS and DTLS flows that wait for the secrets of their session: Wireshark needs the secrets first.

A Decryption Secrets Block behind the packets does not decrypt them, not even in a second pass; for TLS 1.3 and DTLS it
must come before the ServerHello. A flow is therefore held from its ClientHello on until its secrets came, or for
``PATIENCE`` seconds after its last packet. Pure rules: what is written, and when, is the caller's business.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from bench.trace import ip

PATIENCE: Final = 0.2
"""Seconds after which packets whose secrets have not come are written all the same."""
_FLOWS: Final = 1024
_SESSIONS: Final = 4096
_TLS_1_2: Final = b"CLIENT_RANDOM"
_TLS_1_3: Final = frozenset(
    (
        b"CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        b"SERVER_HANDSHAKE_TRAFFIC_SECRET",
        b"CLIENT_TRAFFIC_SECRET_0",
        b"SERVER_TRAFFIC_SECRET_0",
    )
)
_APPLICATION_DATA: Final = 23

T = TypeVar("T")


@dataclass(slots=True)
class _Flow(Generic[T]):
    """A flow that waits for its secrets."""

    random: bytes
    items: list[T] = field(default_factory=list)
    until: float = 0.0
    encrypted: bool = False
    """Something was sent that cannot be read without the secrets."""


class HeldFlows(Generic[T]):
    """All flows of a trace. ``T`` is whatever the caller writes in the end."""

    def __init__(self, *, patience: float = PATIENCE) -> None:
        self.late = 0
        """Sessions whose secrets came when packets of theirs were written."""
        self._patience = patience
        self._flows: OrderedDict[tuple[object, ...], _Flow[T]] = OrderedDict()
        self._labels: OrderedDict[bytes, set[bytes]] = OrderedDict()
        self._given_up: OrderedDict[bytes, None] = OrderedDict()
        """Randoms of sessions of which packets were written without their secrets."""

    @property
    def waiting(self) -> bool:
        """Whether anything is held."""
        return any(flow.items for flow in self._flows.values())

    def offer(self, packet: bytes, item: T, now: float) -> list[T]:
        """Take an IP packet; return what is to be written at once, in order. ``now`` in monotonic seconds."""
        parsed = ip.parse(packet)
        if parsed is None:
            return [item]
        random = ip.client_random(parsed) if parsed.payload else None
        key = parsed.flow
        flow = self._flows.get(key)
        before: list[T] = []
        if random is not None and (flow is None or flow.random != random):
            if flow is not None:
                before = flow.items
            flow = self._begin(key, random)
        if flow is None:
            return [*before, item]
        if self._complete(flow.random):
            del self._flows[key]
            return [*before, *flow.items, item]
        flow.items.append(item)
        flow.until = now + self._patience
        flow.encrypted = flow.encrypted or parsed.payload[:1] == bytes((_APPLICATION_DATA,))
        if parsed.protocol == ip.TCP and parsed.flags & (ip.RST | ip.FIN) and not flow.encrypted:
            del self._flows[key]  # a handshake that failed has no secrets
            return [*before, *flow.items]
        return before

    def _begin(self, key: tuple[object, ...], random: bytes) -> _Flow[T]:
        flow = self._flows[key] = _Flow[T](random)
        self._flows.move_to_end(key)
        return flow

    def key(self, line: bytes) -> list[T]:
        """Take a line of the key log, which must have been written; return the packets that waited for it."""
        label, _, rest = line.partition(b" ")
        try:
            random = bytes.fromhex(rest.partition(b" ")[0].decode("ascii"))
        except ValueError:
            return []
        self._labels.setdefault(random, set()).add(label)
        while len(self._labels) > _SESSIONS:
            self._labels.popitem(last=False)
        if not self._complete(random):
            return []
        if random in self._given_up:
            del self._given_up[random]
            self.late += 1
        found: list[T] = []
        for key in [key for key, flow in self._flows.items() if flow.random == random]:
            found += self._flows.pop(key).items
        return found

    def _complete(self, random: bytes) -> bool:
        labels = self._labels.get(random, set())
        return _TLS_1_2 in labels or labels >= _TLS_1_3

    def expire(self, now: float) -> list[T]:
        """Return what has waited too long. A flow goes on waiting while its handshake may still have secrets."""
        found: list[T] = []
        for key, flow in list(self._flows.items()):
            over = len(self._flows) > _FLOWS
            if flow.items and (now >= flow.until or over):
                found += flow.items
                flow.items = []
                self._given_up[flow.random] = None
                if len(self._given_up) > _SESSIONS:
                    self._given_up.popitem(last=False)
                if flow.encrypted:
                    self._flows.pop(key)
            if over:
                self._flows.pop(key, None)
        return found

    def end(self) -> list[T]:
        """Return everything that is held."""
        found = [item for flow in self._flows.values() for item in flow.items]
        self._flows.clear()
        return found
