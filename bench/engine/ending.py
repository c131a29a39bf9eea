"""How a run ends in the runner: teardown with a deadline, the safe sequence, services, the rest of the record."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final, TypeVar

from bench.engine import derived, link
from bench.engine.observations import ObservationServer
from bench.engine.takeover import WORLD_GONE
from bench.engine.verdicts import Cause
from bench.errors import BenchError
from bench.run import events as kinds
from bench.run import folder as places
from bench.run.events import wall_text
from bench.run.verdict import Verdict, worst
from bench.station.drivers import SafeResult
from bench.station.interfaces import SafeAction
from bench.trace import keylog

if TYPE_CHECKING:
    from bench.engine.session import Session
    from bench.station.dut_parts import OutputLines
    from bench.station.opened import OpenStation

T = TypeVar("T")
_ACTION_WITHIN: Final = 5.0
"""Real seconds for one safe action over the open connection."""
_SWITCH_WITHIN: Final = 0.8
"""Real seconds for switching everything when the run is being stopped: the output is off within 2 s of the stop."""


async def teardown(session: Session) -> None:
    """Run the recipe's teardown, also when set-up failed, within its deadline (real time)."""
    session.leash.enter(link.TEARDOWN)
    recipe, station = session.recipe, session.station
    if recipe is None or station is None or recipe.teardown_function is None:
        return
    record = session.record
    task = asyncio.ensure_future(recipe.teardown_function(station))
    done, _ = await asyncio.wait({task}, timeout=recipe.teardown_within)
    if not done:
        task.cancel()
        await asyncio.wait({task}, timeout=1.0)
        cause = Cause(
            Verdict.ERROR, f"teardown did not end within {recipe.teardown_within:g} s", recipe.where, "it was cancelled"
        )
    else:
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        cause = record.cause_of(error)
    record.error(cause)
    record.take(cause)


async def make_safe(session: Session) -> bool:
    """Carry out the safe sequence over the open connections; return whether everything was verified.

    Nothing is done when nothing can have been switched. With the supervisor gone there is nobody behind this process,
    so what could not be verified is tried again with fresh connections.
    """
    session.leash.enter(link.SAFE)
    equipment = session.equipment
    if equipment is not None:
        equipment.begin_stop()
    if not session.planned or equipment is None or equipment.open is None:
        return True
    opened = equipment.open
    plan = opened.safe_plan
    if equipment.world_is_gone:
        for action in plan:
            data = {"name": action.name, "verified": True, "reading": None, "message": WORLD_GONE, "by": "runner"}
            session.record.event(kinds.SAFE, data)
        return True
    # Everything is switched before anything is verified: a silent emulator must not keep the supply on.
    within = _SWITCH_WITHIN / max(1, len(plan)) if session.record.interruption is not None else _ACTION_WITHIN
    complaints = [await _bounded(_switch(action, opened), within) for action in plan]
    everything = True
    for action, complaint in zip(plan, complaints, strict=True):
        result = await _verified(action, complaint, opened)
        if not result.verified and session.leash.alone:
            from bench.station import safe

            result = (await asyncio.to_thread(safe.execute, [action], deadline=_ACTION_WITHIN))[0]
        everything = everything and result.verified
        data = {"name": result.name, "verified": result.verified, "reading": result.reading, "message": result.message}
        session.record.event(kinds.SAFE, {**data, "by": "runner"}, sync=True)
    return everything


async def _bounded(action: Awaitable[T], within: float) -> T | str:
    """Return what an action of the safe sequence returns, or in words why it failed; never raises, never hangs."""
    try:
        async with asyncio.timeout(within):
            return await action
    except TimeoutError:
        return f"no answer within {within:g} s"
    except BenchError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


async def _switch(action: SafeAction, opened: OpenStation) -> str:
    if action.name.startswith("power") and opened.power is not None:
        await opened.power.set_output(False)
    elif action.name.startswith("network") and opened.network is not None:
        for cell in await opened.network.cells():
            await opened.network.set_cell(False, cell=cell)
    elif (board := _battery_board(action, opened)) is not None:
        await board.set_line(str(action.options["line"]), bool(action.options["inverted"]))
    else:
        return "the run has no instrument for it"
    return ""


def _battery_board(action: SafeAction, opened: OpenStation) -> OutputLines | None:
    """Return what the battery relay is on."""
    return opened.lines.get(str(action.options.get("name"))) if action.name == "battery.off" else None


async def _verified(action: SafeAction, complaint: str, opened: OpenStation) -> SafeResult:
    """Read back what one action did."""
    if complaint:
        return SafeResult(action.name, False, None, complaint)
    result = await _bounded(_read_back(action, opened), _ACTION_WITHIN)
    return SafeResult(action.name, False, None, result) if isinstance(result, str) else result


async def _read_back(action: SafeAction, opened: OpenStation) -> SafeResult:
    if opened.power is not None and action.name.startswith("power"):
        await opened.power.wait_dead(timeout=_ACTION_WITHIN)
        abilities = getattr(opened.power, "abilities", None)
        if abilities is not None and not abilities.measures:  # a USB port: wait_dead saw its device go
            return SafeResult(action.name, not await opened.power.output(), "off", "port off, its device gone")
        volts = (await opened.power.measure()).voltage
        off = not await opened.power.output()
        dead = action.dead_voltage is None or volts < action.dead_voltage
        return SafeResult(action.name, dead and off, volts, f"{volts:.3f} V")
    board = _battery_board(action, opened)
    if board is not None:
        line, inverted = str(action.options["line"]), bool(action.options["inverted"])
        closed = await board.line_on(line)
        return SafeResult(action.name, closed is inverted, f"line {line} {'on' if closed else 'off'}")
    assert opened.network is not None
    on = [cell for cell in await opened.network.cells() if await opened.network.cell_on(cell=cell)]
    return SafeResult(action.name, not on, f"cells on: {on or 'none'}")


async def finish(session: Session, *, safe: bool, observations: ObservationServer) -> int:
    """End services, close everything, write verdicts and run-end; return the exit code.

    When the station could not be verified safe, the record is left open: the supervisor makes safe and ends it.
    """
    session.leash.enter(link.ENDING)
    record, leash = session.record, session.leash
    if session.watchdog is not None:
        if safe:
            await session.watchdog.disarm()
        else:
            session.watchdog.stop()  # armed it stays: what could not be switched off goes off by itself
    if session.equipment is not None:
        await session.equipment.close_station()
        await session.equipment.stop_services()
    await observations.close()
    places.remove_socket(session.folder, "observe")
    with contextlib.suppress(Exception):
        if hasattr(record.clock, "close"):
            now = record.clock.now()
            await record.clock.close()
            session.journal.clock = lambda: now
    keylog.stop()
    if session.trace.late_secrets:
        text = (
            f"the secrets of {session.trace.late_secrets} TLS sessions came after packets of theirs: "
            f"bench trace repair --secrets-first {session.folder / places.TRACE} lets Wireshark decrypt them"
        )
        record.event(kinds.LOG, {"text": text, "level": "warning", "source": "bench"})
    try:
        session.trace.close()
    except BenchError as error:
        record.error(Cause(Verdict.BENCH_ERROR, error.what, error.where, error.hint))
        record.verdicts.bench_failed(Verdict.BENCH_ERROR, error.what)
    if not safe and not leash.alone:
        session.journal.close()
        leash.tell("done", ended=False)
        return 3
    if not safe:
        record.verdicts.bench_failed(Verdict.BENCH_ERROR, "the station is NOT DEAD: see the safe events")
    if session.journal.failure is not None:
        record.verdicts.bench_failed(Verdict.BENCH_ERROR, f"the journal is incomplete: {session.journal.failure}")
    code = _write_end(session)
    if leash.alone and safe:
        from bench.run import unsafe

        unsafe.unmark(session.folder)
    leash.tell("done", ended=True, exit_code=code)
    leash.close()
    derived.report(session.folder)
    return code


def _write_end(session: Session) -> int:
    verdicts = session.record.verdicts
    code = verdicts.code
    end = {
        "device": verdicts.final_device.value,
        "bench": verdicts.bench.value,
        "exit_code": code,
        "summary": verdicts.reason,
        "verdict": worst([verdicts.final_device, verdicts.bench]).value,
        "by": "runner",
    }
    with contextlib.suppress(OSError):
        ended = {**end, "wall": wall_text(time.time_ns())}
        found = {**session.manifest, "identities": session.record.identities, "end": ended}
        places.write_manifest(session.folder, found)
    session.record.event(kinds.RUN_END, end, sync=True)
    session.journal.close()
    derived.result(session.folder)
    return code
