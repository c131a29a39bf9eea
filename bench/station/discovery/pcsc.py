"""PC/SC readers, their cards' ATR and EID, seen from a process of its own: ``python -m bench.station.discovery.pcsc``.

libpcsclite reads the daemon's socket once a process, and a daemon that hangs must not take its caller along.
"""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from bench.errors import BenchError
from bench.station.host import Host

SOCKET: Final = "/run/pcscd/pcscd.comm"
"""Where the host's daemon listens; systemd starts it at the first connection."""
WITHIN: Final = 15.0
"""Real seconds for all readers of one daemon: a card answers EID in one, and a bad one is waited for."""


@dataclass(frozen=True, slots=True)
class FoundReader:
    """One reader and the card in it."""

    name: str
    serial: str = ""
    pcsclite_csock: str = ""
    atr: str = ""
    """In hex, empty without a card."""
    eid: str = ""
    text: str = ""
    """Why there is no EID."""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class FoundReaders:
    """The readers of one daemon; ``problem`` says why there is no list."""

    readers: tuple[FoundReader, ...] = ()
    problem: str = ""
    hint: str = ""
    pcsclite_csock: str = field(default="")


def daemon(csock: str, host: Host) -> tuple[str, str]:
    """Return what is wrong with a PC/SC daemon's socket and what to do, two empty texts when it can be used.

    ``csock``: socket of a daemon of one's own, '' for the host's.
    """
    path = csock or SOCKET
    try:
        found = host.path(path).stat()
    except OSError:
        if csock:
            return f"no PC/SC daemon listens at {csock}", "start it, or correct pcsclite_csock"
        return f"pcscd does not run: there is no {SOCKET}", "sudo systemctl enable --now pcscd.socket"
    if not stat.S_ISSOCK(found.st_mode):
        return f"{path} is no socket", "correct pcsclite_csock" if csock else "sudo systemctl restart pcscd.socket"
    if not _listening(str(host.path(path))):
        hint = "start it again" if csock else "sudo systemctl restart pcscd.socket"
        return f"nobody listens at {path}: the PC/SC daemon has died", hint
    return "", ""


def _listening(path: str) -> bool:
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(path)
        except OSError:
            return False
    return True


async def look(csock: str = "", *, cards: bool = True, host: Host | None = None) -> FoundReaders:
    """List the readers of a daemon with ATR and EID. ``cards``: cards are asked for their EID (ISD-R, ES10c).

    Never raises for what daemon, readers and cards do.
    """
    problem, hint = daemon(csock, host or Host())
    if problem:
        return FoundReaders(problem=problem, hint=hint, pcsclite_csock=csock)
    environment = {**os.environ, "PCSCLITE_CSOCK_NAME": csock} if csock else dict(os.environ)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __name__,
        csock,
        "cards" if cards else "",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        async with asyncio.timeout(WITHIN):
            output, errors = await process.communicate()
    except TimeoutError:
        return FoundReaders(
            problem=f"PC/SC did not answer within {WITHIN:g} s",
            hint="sudo systemctl restart pcscd, and look for a reader that blinks",
            pcsclite_csock=csock,
        )
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _read(output, errors, csock)


def _read(output: bytes, errors: bytes, csock: str) -> FoundReaders:
    try:
        told = json.loads(output)
        readers = tuple(FoundReader(**item) for item in told["readers"])
        return FoundReaders(readers, str(told["problem"]), str(told["hint"]), csock)
    except (ValueError, KeyError, TypeError):
        last = errors.decode(errors="replace").strip().splitlines()[-1:] or ["it ended without a word"]
        return FoundReaders(problem=f"the readers cannot be listed: {last[0]}", pcsclite_csock=csock)


# --- in the process of its own ----------------------------------------------------------------------------------------


def main(argv: list[str]) -> int:
    """Print one JSON object: ``readers``, ``problem``, ``hint``."""
    csock, cards = argv[1], argv[2] == "cards"
    found: dict[str, Any] = {"readers": [], "problem": "", "hint": ""}
    try:
        for name in _names():
            found["readers"].append(asdict(asyncio.run(_reader(name, csock, cards=cards))))
    except BenchError as error:
        found |= {"problem": error.what, "hint": error.hint}
    except ImportError as error:
        found |= {"problem": f"PC/SC cannot be used: {error}", "hint": "pip install pyscard"}
    print(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)  # a PC/SC call that hangs in its thread must not keep the process


def _names() -> list[str]:
    from smartcard import scard

    result, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
    if result != scard.SCARD_S_SUCCESS:
        text = scard.SCardGetErrorMessage(result)
        raise BenchError(f"pcscd refuses: {text}", hint="is polkit's rule for access_pcsc missing for this user?")
    try:
        result, names = scard.SCardListReaders(context, [])
        return list(names) if result == scard.SCARD_S_SUCCESS else []
    finally:
        scard.SCardReleaseContext(context)


async def _reader(name: str, csock: str, *, cards: bool) -> FoundReader:
    from bench.station.drivers import DriverOptions, load_driver

    extra = {"pcsclite_csock": csock} if csock else {}
    serial = atr = eid = text = hint = ""
    try:
        reader: Any = await load_driver("pcsc").open(
            DriverOptions(name="reader", driver="pcsc", resource=name, extra=extra)
        )
        try:
            serial, atr = reader.identity.serial, bytes(reader.atr).hex().upper()
            if atr and cards:
                eid = await _eid(reader.card())
        finally:
            await reader.close()
    except BenchError as error:
        text, hint = error.what, error.hint
    return FoundReader(name, serial, csock, atr, eid, text or ("" if atr else "no card in it"), hint)


async def _eid(card: Any) -> str:
    from bench.apdu.es10 import Es10

    es10 = await Es10.open(card)
    try:
        return await es10.eid()
    finally:
        await es10.close()


if __name__ == "__main__":
    main(sys.argv)
