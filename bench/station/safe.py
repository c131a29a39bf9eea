"""The safe sequence: its plan, and the program that carries it out in a fresh process.

``python -m bench.station.safe PLAN.json`` executes the actions in declared order over fresh connections, each with a
deadline of its own and verified by reading back, and prints one JSON object with the results. It is what the
supervisor starts when the runner is dead, frozen or wrong, so it shares nothing with it, and imports little.
Exit code 0 when everything is verified, 3 otherwise, 2 for a plan that cannot be read.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError, ConfigurationError

if TYPE_CHECKING:
    from bench.station.config import NetworkConfig, PowerConfig, StationConfig
    from bench.station.drivers import SafeResult
    from bench.station.dut import DutConfig
    from bench.station.interfaces import SafeAction

DEADLINE = 5.0
"""Seconds for one action when the plan names none."""
_THROUGH = 0.6
"""Part of the deadline that goes by way of the process that shares an instrument between stations."""


# --- the plan ---------------------------------------------------------------------------------------------------------


def plan(station: StationConfig) -> tuple[SafeAction, ...]:
    """Return the safe sequence of a resolved station, from its configuration alone: nothing is opened.

    It can so be handed to the supervisor before anything is switched.
    """
    makers = {
        "power.off": (station.power, _power_off),
        "network.off": (station.network, _network_off),
        "battery.off": (station.dut, _battery_off),
    }
    actions = []
    for name in station.safe:
        part, make = makers[name]
        if part is not None:
            actions.append(make(part))  # type: ignore[operator]
    return tuple(actions)


def _power_off(power: PowerConfig) -> SafeAction:
    from bench.station.interfaces import SafeAction

    options = {**power.options, "name": power.instrument or "power", "resource": power.resource, "serial": power.serial}
    return SafeAction("power.off", power.driver, options, power.channel, power.dead_voltage)


def _network_off(network: NetworkConfig) -> SafeAction:
    from bench.station.interfaces import SafeAction

    name = network.instrument or "network"
    options = {**network.options, "name": name, "resource": network.resource, "serial": network.serial}
    return SafeAction("network.off", network.driver, {**options, "cells": list(network.cells)})


def _battery_off(dut: DutConfig) -> SafeAction:
    from bench.station.interfaces import SafeAction

    line = dut.line("battery")
    assert line is not None  # checked with the configuration
    board = dut.lines[line.instrument]
    options = {**board.options, "name": board.name, "port": board.port, "serial": board.serial}
    return SafeAction("battery.off", board.driver, {**options, "line": line.line, "inverted": line.inverted})


def dump(actions: Sequence[SafeAction], *, deadline: float = DEADLINE) -> str:
    """Return a plan as JSON text. ``deadline`` in seconds for each action."""
    return json.dumps({"deadline": deadline, "actions": [_action_data(action) for action in actions]})


def _action_data(action: SafeAction) -> dict[str, Any]:
    data = asdict(action)
    data["options"] = dict(action.options)
    return data


def parse(text: str, *, where: str = "plan") -> tuple[tuple[SafeAction, ...], float]:
    """Return actions and deadline of a plan. Raises ConfigurationError."""
    from bench.station.interfaces import SafeAction

    try:
        data = json.loads(text)
        actions = []
        for item in data["actions"]:
            if not isinstance(item["options"], dict):
                raise TypeError("options must be an object")
            dead = item.get("dead_voltage")
            channel = item.get("channel")
            actions.append(
                SafeAction(
                    str(item["name"]),
                    str(item["driver"]),
                    item["options"],
                    None if channel is None else int(channel),
                    None if dead is None else float(dead),
                )
            )
        return tuple(actions), float(data.get("deadline", DEADLINE))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"this is no safe plan: {error!r}",
            where=where,
            hint="the run wrote it: bench safe STATION goes by bench.toml instead",
        ) from error


# --- carrying it out --------------------------------------------------------------------------------------------------


def execute(actions: Sequence[SafeAction], *, deadline: float = DEADLINE) -> list[SafeResult]:
    """Carry out the actions one after the other; a failure or a hang of one never keeps the next from its turn.

    Blocks for at most ``deadline`` real seconds an action. Not for use inside an event loop.
    """
    return [_guarded(action, deadline) for action in actions]


def _guarded(action: SafeAction, deadline: float) -> SafeResult:
    """Run one action in a thread that is abandoned when it hangs beyond its deadline."""
    from bench.station.drivers import SafeResult

    box: list[SafeResult] = []

    def run() -> None:
        try:
            box.append(_carry_out(action, deadline))
        except BaseException as error:
            box.append(SafeResult(action.name, False, None, f"{type(error).__name__}: {error}"))

    thread = threading.Thread(target=run, name=f"safe {action.name}", daemon=True)
    thread.start()
    thread.join(deadline + 0.25)
    if box:
        return box[0]
    return SafeResult(action.name, False, None, f"the driver {action.driver} hung beyond {deadline:g} s")


def _carry_out(action: SafeAction, deadline: float) -> SafeResult:
    from bench.station import sharing
    from bench.station.drivers import SafeDriver, load_driver

    driver = load_driver(action.driver)

    def once(resource: str, seconds: float) -> SafeResult:
        changed = replace(action, options={**action.options, "resource": resource}) if resource else action
        if isinstance(driver, SafeDriver):
            return driver.make_safe(changed, deadline=seconds)
        return _with_instrument(driver, changed, seconds)

    own = str(action.options.get("resource", ""))
    way, began = sharing.through(own), time.monotonic()
    if way == own:
        return once(own, deadline)
    # Another station's runs share the instrument: the process that holds its only connection lets us in. When nothing
    # comes of that, safe comes first: it is killed, and the instrument is free.
    result = once(way, _THROUGH * deadline)
    if result.verified or not sharing.end(own):
        return result
    return once(own, max(0.1, deadline - (time.monotonic() - began)))


def _with_instrument(driver: Any, action: SafeAction, deadline: float) -> SafeResult:
    """Make safe through the ordinary interface, for drivers without a way of their own."""
    import asyncio

    from bench.station.drivers import SafeResult

    line, inverted = str(action.options.get("line", "")), bool(action.options.get("inverted"))
    if action.name == "battery.off":
        rest = {key: value for key, value in action.options.items() if key not in ("line", "inverted")}
        action = replace(action, options=rest)

    async def run() -> SafeResult:
        async with asyncio.timeout(deadline):
            instrument = await driver.open(options_of(action))
            try:
                if action.name == "battery.off":
                    await instrument.set_line(line, inverted)
                    on = await instrument.line_on(line)
                    return SafeResult(action.name, on is inverted, f"line {line} {'on' if on else 'off'}")
                if action.name.startswith("power"):
                    await instrument.set_output(False)
                    await instrument.wait_dead(timeout=deadline)
                    reading = await instrument.measure()
                    dead = action.dead_voltage is None or reading.voltage < action.dead_voltage
                    return SafeResult(action.name, dead, reading.voltage, f"{reading.voltage:.3f} V")
                if action.name.startswith("network"):
                    cells = await instrument.cells()
                    for cell in cells:
                        await instrument.set_cell(False, cell=cell)
                    on = [cell for cell in cells if await instrument.cell_on(cell=cell)]
                    return SafeResult(action.name, not on, f"cells on: {on or 'none'}")
                return SafeResult(action.name, False, None, f"{action.driver} does not know how to do {action.name}")
            finally:
                await instrument.close()

    try:
        return asyncio.run(run())
    except (BenchError, OSError, TimeoutError) as error:
        return SafeResult(action.name, False, None, str(error) or type(error).__name__)


def options_of(action: SafeAction) -> Any:
    """Return the DriverOptions with which a safe action opens its instrument again."""
    from bench.station.drivers import DriverOptions, PowerLimits

    rest = dict(action.options)
    dead = action.dead_voltage
    cells = rest.pop("cells", (1,))
    return DriverOptions(
        name=str(rest.pop("name", action.name)),
        driver=action.driver,
        resource=str(rest.pop("resource", "")),
        port=str(rest.pop("port", "")),
        serial=str(rest.pop("serial", "")),
        channel=action.channel or 1,
        cells=tuple(cells) if isinstance(cells, list | tuple) else (1,),
        limits=None if dead is None else PowerLimits(0.0, 0.0, 0.0, dead),
        extra=rest,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; ``-`` reads the plan from stdin."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    started = time.monotonic()
    if len(arguments) != 1:
        print("usage: python -m bench.station.safe PLAN.json|-", file=sys.stderr)
        return 2
    try:
        if arguments[0] == "-":
            text = sys.stdin.read()
        else:
            with open(arguments[0], encoding="utf-8") as file:  # noqa: PTH123 - pathlib costs a tenth of the start
                text = file.read()
        actions, deadline = parse(text, where=arguments[0])
    except (BenchError, OSError, UnicodeDecodeError) as error:
        print(json.dumps({"safe": False, "results": [], "error": str(error)}), flush=True)
        return 2
    results = execute(actions, deadline=deadline)
    safe = all(result.verified for result in results)
    report: Mapping[str, object] = {
        "safe": safe,
        "seconds": round(time.monotonic() - started, 3),
        "results": [
            {"name": r.name, "verified": r.verified, "reading": r.reading, "message": r.message} for r in results
        ],
    }
    print(json.dumps(report), flush=True)
    return 0 if safe else 3


if __name__ == "__main__":
    code = main()
    # A driver that hangs in a thread must not keep the process.
    sys.stdout.flush()
    os._exit(code)
