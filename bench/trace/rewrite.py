"""Writing a trace anew, block by block as it stands: secrets to the front, or left out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.trace import blocks
from bench.trace.errors import TraceError

_CHUNK: Final = 1 << 20
_WRITTEN: Final = 1 << 20


def raw_blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield type and bytes of every whole block, up to a torn one or damage. Raises TraceError."""
    try:
        stream = path.open("rb")
    except OSError as error:
        raise TraceError(f"cannot read the trace: {error.strerror}", where=str(path)) from error
    with stream:
        buffer, order = b"", "<"
        while True:
            chunk = stream.read(_CHUNK)
            buffer += chunk
            at = 0
            while True:
                try:
                    found = blocks.block_at(buffer, at, order)
                except blocks.DamagedBlock:
                    return
                if found is None:
                    break
                kind, total, order = found
                yield kind, buffer[at : at + total]
                at += total
            buffer = buffer[at:]
            if not chunk:
                return


def secrets_first(path: Path) -> int:
    """Put the secrets behind packets of a section right behind its header; return how many blocks were moved.

    The file is replaced at once when it is whole again, with its permissions; nothing is written where all secrets come
    before the packets. Raises TraceError.
    """
    sections: list[list[bytes]] = []
    late = 0
    packets = False
    for kind, block in raw_blocks(path):
        if kind == blocks.SECTION_HEADER:
            sections.append([])
            packets = False
        elif kind == blocks.DECRYPTION_SECRETS and sections:
            sections[-1].append(block)
            late += packets
        else:
            packets = packets or kind == blocks.ENHANCED_PACKET
    if late:
        _replace(path, _moved(path, iter(sections)))
    return late


def _moved(path: Path, sections: Iterator[list[bytes]]) -> Iterator[bytes]:
    for kind, block in raw_blocks(path):
        if kind == blocks.DECRYPTION_SECRETS:
            continue
        yield block
        if kind == blocks.SECTION_HEADER:
            yield from next(sections)


def without_secrets(path: Path, target: Path) -> int:
    """Write a trace without its secrets to ``target``; return how many blocks were left out. Raises TraceError."""
    dropped = 0

    def kept() -> Iterator[bytes]:
        nonlocal dropped
        for kind, block in raw_blocks(path):
            if kind == blocks.DECRYPTION_SECRETS:
                dropped += 1
            else:
                yield block

    _write(target, kept(), 0o644)
    return dropped


def _replace(path: Path, content: Iterator[bytes]) -> None:
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _write(scratch, content, path.stat().st_mode & 0o777)
        scratch.replace(path)
    except OSError as error:
        raise TraceError(f"cannot write the trace anew: {error.strerror}", where=str(path)) from error
    finally:
        scratch.unlink(missing_ok=True)


def _write(path: Path, content: Iterator[bytes], mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb", buffering=_WRITTEN) as stream:
            for block in content:
                stream.write(block)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise TraceError(f"cannot write the trace: {error.strerror}", where=str(path)) from error
