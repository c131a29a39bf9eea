"""Randomised exchanges of every instrument driver with its simulated instrument, over a wire on which all goes wrong.

    python tests/campaigns/instrument_faults.py [--family NAME ...] [--exchanges 10000] [--share 0.2] [--seed 1]

``--exchanges`` is for each family of wire: ``scpi-supplies``, ``scpi-emulators``, ``amarisoft``, ``rcdat``,
``relays``, ``console``. The drivers
are the real ones, the instruments those of ``fixtures/sim``, the faults those of ``faulty_wire.py``. What is true is
another value at every exchange, so that an answer which belongs to another question shows. Demanded of each exchange:
it ends within its deadline; what it returns was true during this very exchange; what it raises is an InstrumentError of
the right kind that says where, and there is none when nothing went wrong. Prints JSON: exchanges, wrong values and
errors by kind for each driver; exit code 1 when something did not hold.

Not among the faults, for no client can tell: a line that was cut short in the middle of a number and yet ended, and an
empty line from an instrument that says "nobody" by one (MT8821C).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "instruments")]

import supply_bench  # type: ignore[import-not-found] # noqa: E402
from exchanges import Outcome  # type: ignore[import-not-found] # noqa: E402
from subject import DEADLINE, PATIENCE, Subject, run  # type: ignore[import-not-found] # noqa: E402
from subject_boards import AttenuatorSubject, ConsoleSubject, RelaySubject  # type: ignore[import-not-found] # noqa: E402
from subject_emulators import CallboxSubject, EmulatorSubject  # type: ignore[import-not-found] # noqa: E402
from subject_supplies import SupplySubject  # type: ignore[import-not-found] # noqa: E402

from instruments.attenuator import rcdat  # noqa: E402
from instruments.network import mt8821c, remote_api, scpi_emulator  # noqa: E402
from instruments.switch import numato  # noqa: E402

FAMILIES: Final[dict[str, Callable[[random.Random], list[Subject]]]] = {
    "scpi-supplies": lambda chance: [SupplySubject(case, _of(chance)) for case in supply_bench.CASES],
    "scpi-emulators": lambda chance: [EmulatorSubject(kind, _of(chance)) for kind in ("cmw500", "mt8821c", "uxm")],
    "amarisoft": lambda chance: [CallboxSubject("amarisoft", _of(chance)) for _ in range(1)],
    "relays": lambda chance: [RelaySubject(name, _of(chance)) for name in ("numato-lines", "numato-relay")],
    "console": lambda chance: [ConsoleSubject("console", _of(chance))],
    "rcdat": lambda chance: [AttenuatorSubject(way, _of(chance)) for way in ("http", "telnet")],
}


def _of(chance: random.Random) -> random.Random:
    """Return a source of its own for one driver, so that they may run side by side and yet be repeated."""
    return random.Random(chance.random())


@contextlib.contextmanager
def impatient(folder: Path) -> Any:
    """Shorten the deadlines that no option shortens, and have locks of one's own."""
    usual = [
        (remote_api, "ANSWER", PATIENCE), (remote_api, "CONNECT", 2 * PATIENCE),
        (rcdat, "ANSWER", PATIENCE), (rcdat, "BUSY", 2 * PATIENCE), (numato, "_ANSWER", PATIENCE),
        (scpi_emulator, "SWITCH", 0.5), (scpi_emulator, "POLL", 0.02), (mt8821c, "POLL", 0.02), (mt8821c, "_BUSY", 0.3),
    ]  # fmt: skip
    kept = [(module, name, getattr(module, name)) for module, name, _ in usual]
    locks = os.environ.get("BENCH_LOCKS")
    os.environ["BENCH_LOCKS"] = str(folder / "locks")
    for module, name, value in usual:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in kept:
            setattr(module, name, value)
        os.environ.pop("BENCH_LOCKS")
        if locks is not None:
            os.environ["BENCH_LOCKS"] = locks


async def campaign(family: str, exchanges: int, share: float, seed: int, *, at_once: int = 3) -> dict[str, Any]:
    """Run one family of wire, ``exchanges`` in all, ``at_once`` drivers side by side; return the figures."""
    subjects = FAMILIES[family](random.Random(f"{seed} {family}"))
    each = -(-exchanges // len(subjects))
    places = asyncio.Semaphore(at_once)
    with tempfile.TemporaryDirectory() as name, impatient(Path(name)):

        async def bounded(index: int, subject: Subject) -> tuple[str, Outcome]:
            async with places:
                folder = Path(name) / str(index)
                folder.mkdir()
                return subject.name, await run(subject, each, share, folder)

        found = await asyncio.gather(*(bounded(index, subject) for index, subject in enumerate(subjects)))
    return report(dict(found))


def report(found: dict[str, Outcome]) -> dict[str, Any]:
    """Return the figures of a family: sums, and each driver."""
    outcomes = list(found.values())
    return {
        "exchanges": sum(out.exchanges for out in outcomes),
        "returned": sum(out.returned for out in outcomes),
        "faults": sum(sum(out.faults.values()) for out in outcomes),
        "wrong_values": sum(len(out.wrong) for out in outcomes),
        "unexpected": sum(len(out.unexpected) for out in outcomes),
        "errors": dict(sorted(sum((out.raised for out in outcomes), Counter()).items())),
        "longest": round(max(out.longest for out in outcomes), 3),
        "deadline": DEADLINE,
        "drivers": {name: out.report() for name, out in found.items()},
        "ok": not any(out.wrong or out.unexpected for out in outcomes),
    }


def main() -> int:
    """Print the figures; return 1 when something did not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--family", nargs="*", choices=sorted(FAMILIES), default=sorted(FAMILIES))
    parser.add_argument("--exchanges", type=int, default=10_000, help="of each family")
    parser.add_argument("--share", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    families: dict[str, Any] = {}
    began = time.monotonic()
    for family in given.family:
        start = time.monotonic()
        families[family] = asyncio.run(campaign(family, given.exchanges, given.share, given.seed))
        families[family]["seconds"] = round(time.monotonic() - start, 1)
    found = {
        "campaign": "instrument-faults",
        "at": datetime.now().astimezone().isoformat(timespec="seconds"),
        "seed": given.seed,
        "share": given.share,
        "seconds": round(time.monotonic() - began, 1),
        "families": families,
        "ok": all(family["ok"] for family in families.values()),
    }
    print(json.dumps(found, indent=1))
    return 0 if found["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
