"""A logical channel that follows a script: what must come, what is answered."""

from __future__ import annotations

from collections.abc import Sequence


class ScriptedChannel:
    """Answers each command of ``script`` (hex command, hex response) in order; anything else fails the test."""

    def __init__(self, script: Sequence[tuple[str, str]], *, select_response: bytes = b"") -> None:
        self.select_response = select_response
        self._script = [(bytes.fromhex(command), bytes.fromhex(response)) for command, response in script]
        self.sent: list[bytes] = []
        self.timeouts: list[float | None] = []
        self.closed = 0

    async def transmit(self, command: bytes, *, timeout: float | None = None) -> bytes:
        assert self._script, f"nothing more is due, but {command.hex()} came"
        due, response = self._script.pop(0)
        assert command.hex() == due.hex()
        self.sent.append(command)
        self.timeouts.append(timeout)
        return response

    async def close(self) -> None:
        self.closed += 1

    @property
    def done(self) -> bool:
        return not self._script
