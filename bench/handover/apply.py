"""Replacing the identifiers in a trace and in the text files of a run folder."""

from __future__ import annotations

from typing import Final

from bench.handover.image import TEXT_KINDS, Image, ImagePacket, Span, apdu_streams, lane_streams
from bench.handover.ip import finish, flows, ip_start
from bench.handover.replace import Replacer
from bench.trace import redact
from bench.trace.decode import one_liner
from bench.trace.lane import Direction

_BIT_CODED: Final = ("lte_rrc", "nr-rrc", "nas", "gsm_a", "umts")
_RADIO: Final = ("radio", "diag", "nas", "rrc")


def trace(images: list[Image], replacer: Replacer) -> None:
    """Replace in all files of a trace, given in their order: what goes on in the next one is seen as one."""
    derived = _derived(images)
    _mask(images)
    for stream in (*apdu_streams(images).values(), *flows(images).values(), *lane_streams(images).values()):
        data = stream.get()
        found = replacer.replace(data)
        if found != data:
            stream.put(found)
    for image in images:
        for packet in image.packets:
            coded = packet.dissector.startswith(_BIT_CODED) or packet.kind in _RADIO
            if coded and packet.kind not in TEXT_KINDS and not _is_json(image, packet.start):
                image.put(packet.start, replacer.bits(image.bytes_of(packet)))
    remade = {(id(image), span.start) for image, _, span in derived}
    known: dict[bytes, bytes] = {}
    for image in images:
        for span in image.texts:
            if (id(image), span.start) in remade:
                continue
            text = image.bytes_of_span(span)
            if text not in known:
                known[text] = replacer.comment(text)
            image.put(span.start, known[text])
    for image, packet, span in derived:
        # Made again rather than replaced: each half of an identifier in two packets has a comment of its own.
        told = _told(image, packet)
        length = span.end - span.start
        if image.bytes_of_span(span) != told:
            image.put(span.start, told[:length].decode("utf-8", "ignore").encode().ljust(length))
    finish(images, replacer.addresses)


def _told(image: Image, packet: ImagePacket) -> bytes:
    return one_liner(packet.lane, packet.direction, image.bytes_of(packet)).encode("utf-8", "replace")


def _derived(images: list[Image]) -> list[tuple[Image, ImagePacket, Span]]:
    """Return the comments that only tell what the packet says."""
    return [
        (image, packet, packet.comments[0])
        for image in images
        for packet in image.packets
        if packet.comments and packet.direction >= 0
        if image.bytes_of_span(packet.comments[0]) == _told(image, packet)
    ]


def _is_json(image: Image, start: int) -> bool:
    return bytes(image.buffer[start : start + 1]) in (b"{", b"[")


def _mask(images: list[Image]) -> None:
    """Hide PINs and keys of lanes that were recorded with them, as a recording without secrets does."""
    secret: dict[str, bool] = {}
    for image in images:
        for packet in image.packets:
            if packet.kind not in ("at", "scpi", "apdu", "sniff") or ip_start(image, packet) is not None:
                continue
            data = image.bytes_of(packet)
            hidden = data
            if packet.kind == "at":
                hidden = redact.at_line(data)
            elif packet.kind == "scpi" and packet.direction == Direction.SENT:
                hidden, secret[packet.lane] = redact.scpi_line(data)
            elif packet.kind == "scpi":
                whole = secret.pop(packet.lane, False)
                hidden = b"*" * len(data.rstrip()) + data[len(data.rstrip()) :] if whole else redact.scpi_line(data)[0]
            elif packet.direction == Direction.SENT:
                hidden = redact.command(data)
            elif packet.direction == Direction.RECEIVED:
                hidden = redact.response(data)
            if hidden != data and len(hidden) == len(data):
                image.put(packet.start, hidden)
