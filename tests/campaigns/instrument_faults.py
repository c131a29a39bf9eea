"""Randomised exchanges of every instrument driver with its simulated instrument, over a wire on which all goes wrong.

    python tests/campaigns/instrument_faults.py [--driver NAME ...] [--exchanges 10000] [--share 0.2] [--seed 1]
        [--into FOLDER] [--jobs 3] [--at-once 10]
    python tests/campaigns/instrument_faults.py --table

``--exchanges`` is for each driver (every entry point of the group ``bench.drivers``; ``ask`` has no wire: a person is
asked). The drivers are the real ones, the instruments those of ``fixtures/sim`` or processes and terminals that stand
in for them, the faults those of ``faulty_wire.py`` (TCP), ``faulty_port.py`` (serial), ``faulty_program.py``,
``subject_lines.py`` and ``subject_reader.py`` (a real pcscd). What is true is another value at every exchange, so that
an answer which belongs to another question shows. Demanded of each exchange: it ends within its deadline; what it
returns was true during this very exchange; what it raises is a bench error of the right kind that says where; and there
is none when nothing went wrong, so that a driver has recovered by then.

Each driver runs in a process of its own, ``--jobs`` of them at a time, with ``--at-once`` of its instruments in each.
``--into`` keeps each driver's figures as soon as it has them; what is there already is not run again. Prints JSON;
exit code 1 when something did not hold. ``--table`` prints which fault meets which driver where.

Not among the faults, for no client can tell: a line that was cut short in the middle of a number and yet ended, an
empty line from an instrument that says "nobody" by one (MT8821C), and a reader that gives one answer twice. While this
host does not run the campaign (``paused``), only values are judged.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, Final

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "instruments")]

import supply_bench  # type: ignore[import-not-found] # noqa: E402
from exchanges import Outcome, Pauses  # type: ignore[import-not-found] # noqa: E402
from fault_table import table  # type: ignore[import-not-found] # noqa: E402
from subject import PATIENCE, Subject, run  # type: ignore[import-not-found] # noqa: E402
from subject_boards import AttenuatorSubject, ConsoleSubject, RelaySubject  # type: ignore[import-not-found] # noqa: E402
from subject_emulators import CallboxSubject, EmulatorSubject  # type: ignore[import-not-found] # noqa: E402
from subject_lines import LinesSubject  # type: ignore[import-not-found] # noqa: E402
from subject_modems import IDENTITIES, ModemSubject  # type: ignore[import-not-found] # noqa: E402
from subject_modems import PATIENCE as AT_PATIENCE  # noqa: E402
from subject_programs import PATIENCE as RUN_PATIENCE  # type: ignore[import-not-found] # noqa: E402
from subject_programs import HubSubject, TrafficSubject  # noqa: E402
from subject_supplies import SupplySubject  # type: ignore[import-not-found] # noqa: E402
from usb_tree import UsbTree  # type: ignore[import-not-found] # noqa: E402

from instruments.attenuator import rcdat  # noqa: E402
from instruments.modem import port as at_port  # noqa: E402
from instruments.modem import usb  # noqa: E402
from instruments.network import mt8821c, netem, remote_api, scpi_emulator  # noqa: E402
from instruments.reader import pcsc  # noqa: E402
from instruments.switch import lines, numato  # noqa: E402
from instruments.usb import port as usb_port  # noqa: E402

Make = Callable[[random.Random], Subject]


def _supplies() -> dict[str, tuple[Make, ...]]:
    """Return every driver of a supply with the models it is for."""
    found: dict[str, tuple[Make, ...]] = {}
    for case in (*supply_bench.CASES, supply_bench.Case("keysight-n6700", "n6705c", 2)):
        made = found.get(case.driver, ())
        found[case.driver] = (*made, lambda chance, case=case: SupplySubject(case, chance))
    return found


def _reader(chance: random.Random) -> Subject:
    from subject_reader import ReaderSubject  # type: ignore[import-not-found] # only it needs pyscard

    return ReaderSubject("pcsc", chance)


DRIVERS: Final[Mapping[str, tuple[Make, ...]]] = {
    **_supplies(),
    **{
        name: (lambda chance, kind=kind: EmulatorSubject(kind, chance),)
        for name, kind in (("rs-cmw500", "cmw500"), ("anritsu-mt8821c", "mt8821c"), ("keysight-uxm", "uxm"))
    },
    "amarisoft": (lambda chance: CallboxSubject("amarisoft", chance),),
    "mini-circuits-rcdat": tuple(
        lambda chance, way=way: AttenuatorSubject(way, chance) for way in ("http", "telnet")
    ),
    **{name: (lambda chance, name=name: RelaySubject(name, chance),) for name in ("numato-lines", "numato-relay")},
    "console": (lambda chance: ConsoleSubject("console", chance),),
    **{name: (lambda chance, name=name: ModemSubject(name, chance),) for name in IDENTITIES},
    **{name: (lambda chance, name=name: HubSubject(name, chance),) for name in HubSubject.resources},
    "tc-netem": (lambda chance: TrafficSubject("tc-netem", chance),),
    "serial-lines": (lambda chance: LinesSubject("serial-lines", chance),),
    "pcsc": (_reader,),
}  # fmt: skip
"""Every driver, with what its instruments can be: models, or ways to reach them."""
MOST: Final = {"pcsc": 8}
"""Instruments that one process can have at once."""
_RECORDS: Final = "it asks nothing: what a program gives is recorded: tests/instruments/test_radio_recorders.py"
NO_WIRE: Final = {
    "ask": "a person is asked, over no wire: tests/instruments/test_lines.py",
    **dict.fromkeys(("nordic-trace", "qualcomm-diag", "simtrace2"), _RECORDS),
}


@contextlib.contextmanager
def impatient(folder: Path) -> Iterator[None]:
    """Shorten the deadlines that no option shortens, have locks and a USB tree of one's own."""
    tree = UsbTree(folder / "usb")
    usual: list[tuple[Any, str, Any]] = [
        (remote_api, "ANSWER", PATIENCE), (remote_api, "CONNECT", 2 * PATIENCE),
        (rcdat, "ANSWER", PATIENCE), (rcdat, "BUSY", 2 * PATIENCE), (numato, "_ANSWER", PATIENCE),
        (scpi_emulator, "SWITCH", 0.5), (scpi_emulator, "POLL", 0.02), (mt8821c, "POLL", 0.02), (mt8821c, "_BUSY", 0.3),
        (at_port, "deadline", lambda line: AT_PATIENCE), (usb, "SYS", tree.classes), (usb, "DEV", tree.dev),
        (usb_port, "RUN_WITHIN", RUN_PATIENCE), (usb_port, "SYSFS", tree.bus), (netem, "WITHIN", RUN_PATIENCE),
        (lines, "_WITHIN", PATIENCE), (pcsc, "_OPEN", 4.0), (pcsc, "_RESET", 4.0), (pcsc, "_CLOSE", 1.0),
        (pcsc, "_LOOK", 2.0),
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


async def campaign(
    drivers: Sequence[str], exchanges: int, share: float, seed: int, *, at_once: int = 1
) -> dict[str, dict[str, Any]]:
    """Run ``exchanges`` of each driver in this process, with ``at_once`` instruments of each; return their figures.

    At least one instrument of each model is used.
    """
    with tempfile.TemporaryDirectory() as name, impatient(Path(name)), Pauses().watched() as pauses:

        async def one(driver: str, index: int, subject: Subject, count: int) -> Outcome:
            folder = Path(name) / f"{driver}-{index}"
            folder.mkdir()
            return await run(subject, count, share, folder, pauses)

        async def all_of(driver: str) -> dict[str, Any]:
            began = time.monotonic()
            chance = random.Random(f"{seed} {driver}")
            makes = DRIVERS[driver]
            count = max(min(at_once, MOST.get(driver, at_once)), len(makes))
            subjects = [makes[index % len(makes)](random.Random(chance.random())) for index in range(count)]
            each = -(-exchanges // count)
            found = await asyncio.gather(*(one(driver, at, subject, each) for at, subject in enumerate(subjects)))
            whole = sum(found, Outcome())
            return {**whole.report(), "instruments": count, "seconds": round(time.monotonic() - began, 1)}

        return dict(zip(drivers, await asyncio.gather(*map(all_of, drivers)), strict=True))


# --- all of them ------------------------------------------------------------------------------------------------------


def part(driver: str, given: argparse.Namespace) -> dict[str, Any]:
    """Run one driver in a process of its own, or take what an earlier run kept; return its figures."""
    asked = {name: getattr(given, name) for name in ("exchanges", "share", "seed", "at_once")}
    kept = given.into / f"{driver}.json" if given.into else None
    if kept is not None and kept.exists():
        found: dict[str, Any] = json.loads(kept.read_text())
        if found["asked"] == asked and found["ok"]:
            return found
    options = [f"--{name.replace('_', '-')}={value}" for name, value in asked.items()]
    done = subprocess.run(
        [sys.executable, __file__, "--only", driver, *options], stdout=subprocess.PIPE, text=True, check=False
    )
    try:
        found = {**json.loads(done.stdout), "asked": asked}
    except ValueError:
        found = {"ok": False, "exchanges": 0, "told": [f"its process ended with {done.returncode}"], "asked": asked}
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(found, indent=1))
    print(f"{driver}: {'ok' if found['ok'] else found['told']}", file=sys.stderr, flush=True)
    return found


def main() -> int:
    """Print the figures; return 1 when something did not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--driver", nargs="*", choices=sorted(DRIVERS), default=sorted(DRIVERS))
    parser.add_argument("--exchanges", type=int, default=10_000, help="of each driver")
    parser.add_argument("--share", type=float, default=0.2, help="of the exchanges that a fault is to meet")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=3, help="drivers at a time")
    parser.add_argument("--at-once", type=int, default=10, help="instruments of each driver")
    parser.add_argument("--into", type=Path, help="folder that keeps the figures of each driver")
    parser.add_argument("--table", action="store_true", help="print which fault meets which driver where")
    parser.add_argument("--only", choices=sorted(DRIVERS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.table:
        print(table(sorted((*DRIVERS, *NO_WIRE)), sorted(IDENTITIES)))
        return 0
    if given.only:
        found = asyncio.run(campaign([given.only], given.exchanges, given.share, given.seed, at_once=given.at_once))[
            given.only
        ]
        print(json.dumps(found))
        return 0 if found["ok"] else 1
    began = time.monotonic()
    with ThreadPoolExecutor(given.jobs) as places:
        drivers = dict(zip(given.driver, places.map(lambda name: part(name, given), given.driver), strict=True))
    total: Counter[str] = Counter()
    for figures in drivers.values():
        total.update({name: value for name, value in figures.items() if type(value) is int})
    whole = {
        "campaign": "instrument-faults",
        "at": datetime.now().astimezone().isoformat(timespec="seconds"),
        "seed": given.seed,
        "share": given.share,
        "seconds": round(time.monotonic() - began, 1),
        **total,
        "drivers": drivers,
        "no_wire": NO_WIRE,
        "ok": all(figures["ok"] for figures in drivers.values()),
    }
    print(json.dumps(whole, indent=1))
    return 0 if whole["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
