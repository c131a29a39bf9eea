"""Exchanges of lines: AT commands with their answers and final results, unsolicited codes, SCPI questions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from bench.trace import decode_at, decode_scpi
from bench.trace.calls import Emit, Exchange
from bench.trace.lane import Direction
from bench.trace.reader import Packet

if TYPE_CHECKING:
    from bench.trace.calls_card import CardLane

_LINES: Final = 500
"""Lines of one answer that are kept."""
_RELAYS: Final = ("+CGLA", "+CSIM")


def _made(packet: Packet, kind: str, function: str) -> Exchange:
    return Exchange(packet.lane, kind, function, packet.time_ns, packet.time_ns, packet.number, packet.number)


class AtLane:
    """Follows an AT port (a Tracker). ``unpacks``: whether APDUs in +CGLA and +CSIM make exchanges of their own now."""

    def __init__(self, name: str, emit: Emit, unpacks: Callable[[], bool]) -> None:
        self._name = name
        self._emit = emit
        self._unpacks = unpacks
        self._open: Exchange | None = None
        self._asked = ""
        self._echo = ""
        self._inner: CardLane | None = None

    def packet(self, packet: Packet) -> str:
        """Take one packet; return the function that it belongs to."""
        if packet.direction == Direction.RECEIVED:
            return self._received(packet)
        return self._sent(packet)

    def _sent(self, packet: Packet) -> str:
        line = decode_at.text_of(packet.data)
        name, form, _ = decode_at.head(line)
        if not line.upper().startswith("AT"):  # data behind a prompt, the end of a text, or bytes of another protocol
            if self._open is not None:
                self._open.packets += 1
                self._open.sent += len(packet.data)
                self._open.end_ns, self._open.last = packet.time_ns, packet.number
                return self._open.function
            made = _made(packet, "packet", "data")
            made.request, made.sent, made.result = packet.data, len(packet.data), packet.comment.partition("\n")[0]
            self._emit(made)
            return made.function
        self._end("no answer", False)
        made = self._open = _made(packet, "at", f"AT{name}{form}")
        made.request, made.sent = packet.data, len(packet.data)
        made.relayed = name in _RELAYS and form == "="
        self._asked, self._echo = name, line
        if made.relayed and self._unpacks():
            self._relay(packet, line, sent=True)
        return made.function

    def _relay(self, packet: Packet, line: str, *, sent: bool) -> None:
        """Give the APDU inside to a card lane of its own."""
        from bench.trace.calls_card import CardLane

        try:
            inner = bytes.fromhex(decode_at.split(line)[-1])
        except ValueError:
            return
        if self._inner is None:
            self._inner = CardLane(self._name, self._emit)
        direction = Direction.SENT if sent else Direction.RECEIVED
        self._inner.packet(Packet(packet.lane, packet.time_ns, direction, inner, "", "", packet.number))

    def _received(self, packet: Packet) -> str:
        function = ""
        lines = decode_at.lines_of(packet.data)
        if self._open is not None and lines:
            self._open.received += len(packet.data)  # before its final result closes it
        for line in lines:
            function = self._line(packet, line) or function
        return function or (self._open.function if self._open is not None else "")

    def _line(self, packet: Packet, line: str) -> str:
        made = self._open
        if made is not None and line == self._echo and not made.lines:
            made.packets += 1
            return made.function
        if made is None or decode_at.is_unsolicited(line, self._asked):
            if made is None and decode_at.is_final(line):
                alone = _made(packet, "at", "final result")
                alone.note = "its command is not in the trace"
                alone.answer, alone.result, alone.ok = packet.data, decode_at.result(line), line == "OK"
                self._emit(alone)
                return alone.function
            return self._unsolicited(packet, line)
        made.packets += 1
        made.end_ns, made.last = packet.time_ns, packet.number
        if decode_at.is_final(line):
            function = made.function
            self._end(decode_at.result(line), line == "OK" or line.startswith("CONNECT"))
            return function
        if len(made.lines) < _LINES:
            made.lines.append(line)
        if made.relayed and self._unpacks() and line.startswith("+"):
            self._relay(packet, line, sent=False)
        return made.function

    def _unsolicited(self, packet: Packet, line: str) -> str:
        name = line.partition(":")[0][:40] if line.startswith(("+", "%", "^", "#", "$", "*")) else line[:40]
        made = _made(packet, "urc", name)
        made.answer, made.received, made.lines = line.encode("utf-8", "replace"), len(packet.data), [line]
        field = decode_at.answer_line(line, asked=False)
        made.result = ", ".join(child.text for child in field.children)[:200]
        state = field.find("stat")
        if field.find("reject_cause") is not None or field.find("cause") is not None:
            made.ok = False
        elif state is not None:
            made.ok = state.text.startswith("registered") or (False if state.text.startswith("denied") else None)
        self._emit(made)
        return name

    def _end(self, result: str, ok: bool) -> None:
        made, self._open = self._open, None
        if made is None:
            return
        made.result, made.ok = result, ok
        if made.lines or result != "no answer":
            made.answer = "\n".join(made.lines).encode("utf-8", "replace")
        self._emit(made)

    def close(self) -> None:
        """Emit what is still open."""
        self._end("no answer", False)
        if self._inner is not None:
            self._inner.close()


class ScpiLane:
    """Follows an instrument's connection (a Tracker)."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._open: Exchange | None = None

    def packet(self, packet: Packet) -> str:
        """Take one packet; return the function that it belongs to."""
        if packet.direction == Direction.RECEIVED:
            return self._received(packet)
        self._end("no answer", False)
        line = decode_scpi.text_of(packet.data)
        function = (
            ";".join(f"{header}{'?' if asked else ''}" for header, asked in decode_scpi.headers(line)) or line[:40]
        )
        made = _made(packet, "scpi", function[:200])
        made.request, made.sent = packet.data, len(packet.data)
        if decode_scpi.asks(line):
            self._open = made
        else:
            self._emit(made)
        return made.function

    def _received(self, packet: Packet) -> str:
        made, self._open = self._open, None
        if made is None:
            made = _made(packet, "scpi", "answer")
            made.note = "belongs to no question"
        else:
            made.packets += 1
        made.answer, made.received = packet.data, len(packet.data)
        made.end_ns, made.last = packet.time_ns, packet.number
        question = decode_scpi.text_of(made.request)
        error = decode_scpi.is_error(packet.data, question)
        made.result, made.ok = error or decode_scpi.text_of(packet.data)[:200], not error
        self._emit(made)
        return made.function

    def _end(self, result: str, ok: bool) -> None:
        made, self._open = self._open, None
        if made is not None:
            made.result, made.ok = result, ok
            self._emit(made)

    def close(self) -> None:
        """Emit what is still open."""
        self._end("no answer", False)
