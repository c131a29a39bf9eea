"""Manual sessions: started as runs, spoken to line by line, found again from their run folder, kept as recipes.

A session belongs to its supervisor like every run: who begins it may go, and it is made safe when it is stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from bench.client import session_radio
from bench.client.asking import ask
from bench.client.launch import RunHandle, StartOptions, start
from bench.client.overview import SESSION as RECIPE
from bench.errors import BenchError, ConfigurationError
from bench.run import folder as places
from bench.run.reader import only

_ANSWER_WITHIN: Final = 120.0


def begin(station: str, options: StartOptions) -> RunHandle:
    """Start a session on a station. Raises what ``bench.client.start`` raises."""
    from bench.client.session_recipe import place

    try:
        at = place()
    except OSError as error:
        raise BenchError(f"a session needs a folder for its socket: {error}", hint="set XDG_RUNTIME_DIR") from error
    return start(RECIPE, station, {"at": at}, options)


def is_session(folder: Path) -> bool:
    """Whether a run folder is that of a manual session."""
    return places.read_json(folder / places.MANIFEST).get("recipe") in (RECIPE, "session")


def tell(folder: Path, request: Mapping[str, Any], *, within: float = _ANSWER_WITHIN) -> dict[str, Any]:
    """Have a session do one thing; return its answer (``lines``, ``on``, ``volts``, ``amps``; or ``error``, ``hint``).

    Requests: ``{"op": KIND, "line": ...}`` of ``overview.KINDS``, ``{"op": "output", "on": true}``,
    ``{"op": "voltage" | "current", "value": ...}``, ``{"op": "reading"}``. ``within`` in seconds. Raises BenchError
    when the session is gone or does not answer.
    """
    parameters = places.read_json(folder / places.MANIFEST).get("parameters")
    at = parameters.get("at") if isinstance(parameters, dict) else None
    if not isinstance(at, str):
        raise ConfigurationError("this run is no manual session", where=str(folder), hint="s begins one")
    try:
        return ask(at, request, within=within)
    except TimeoutError as error:
        why, hint = "it does not answer", "bench show tells how far it is"
        raise BenchError(f"the session cannot be told: {why}", where=folder.name, hint=hint) from error
    except ValueError as error:
        hint = f"something else listens at {at}: x stops this session, s begins another"
        raise BenchError(f"the session cannot be told: {error}", where=folder.name, hint=hint) from error
    except OSError as error:
        why, hint = "it is not there (yet, or any more)", "bench show tells"
        raise BenchError(f"the session cannot be told: {why}", where=folder.name, hint=hint) from error


def lines(folder: Path) -> list[dict[str, Any]]:
    """Return what was done in a session so far: ``request``, ``answer``, ``t`` (station time, s). Raises BenchError."""
    places.manifest(folder)
    found = []
    for event in only(folder / places.JOURNAL, "result"):
        value = event["data"].get("value")
        if event["data"].get("name") == "line" and isinstance(value, dict):
            found.append({**value, "t": event["t"]})
    return found


def as_recipe(name: str, done: Iterable[Mapping[str, Any]], *, last: float | None = None) -> str:
    """Return what was done (``lines``) as the source of a recipe; ``last``: only that many seconds of it.

    Raises ConfigurationError when there is nothing in it, or the name is none for a function.
    """
    function = name.replace("-", "_")
    if not function.isidentifier():
        raise ConfigurationError(f"'{name}' is no name for a recipe", hint="letters, digits and hyphens")
    steps = [item for item in done if isinstance(item.get("request"), dict)]
    if last is not None and steps:
        end = max(float(item.get("t") or 0.0) for item in steps)
        steps = [item for item in steps if float(item.get("t") or 0.0) >= end - last]
    body, needs, before = [], set(), None
    for item in steps:
        moment = item.get("t")
        if isinstance(moment, int | float) and isinstance(before, int | float) and moment - before > 0.1:
            body.append(f"    await station.clock.sleep({moment - before:.1f})")
        before = moment
        made = _statement(item["request"])
        refused = "error" in (item.get("answer") or {})
        if made is not None and refused:
            body.append(f"    # {made[1][0]}  # it was refused")
        elif made is not None:
            if made[0] == "apdu" and "apdu" not in needs:
                isd_r = "A0000005591010FFFFFFFF8900000100"
                body.append(f'    channel = await station.card.open_channel(bytes.fromhex("{isd_r}"))')
            needs.add(made[0])
            body += [f"    {line}" for line in made[1]]
    if not needs:
        raise ConfigurationError("nothing was done yet that could be a recipe", hint="type a line first")
    needs = {"card" if need == "apdu" else need for need in needs}
    head = [
        f'"""{name}: recorded from a manual session; times are those of the session."""',
        "",
        "from bench.engine.recipe import Station, recipe",
        "",
        "",
        f'@recipe(title="{name}", needs=({" ".join(f"{need!r}," for need in sorted(needs))}))',
        f"async def {function}(station: Station) -> None:",
        f'    """Do again what was done by hand on {name}."""',
    ]
    return "\n".join([*head, *body]) + "\n"


def _statement(request: Mapping[str, Any]) -> tuple[str, list[str]] | None:
    op = request.get("op")
    line = str(request.get("line", ""))
    if op == "at":
        return "modem", [f"station.note(repr(await station.modem.command({line!r})))"]
    if op == "apdu":
        return "apdu", [f"station.note((await channel.transmit(bytes.fromhex({line!r}))).hex())"]
    if op == "console":
        return "console", [f"await station.console.send({line!r})"]
    if op == "network":
        try:
            call = session_radio.parse(line)
        except ConfigurationError:
            return None  # it was refused, and nothing was done
        return (call.part, [call.source]) if call is not None else None
    if op == "output":
        lines = [f"await station.power.set_output({bool(request.get('on'))})"]
        return "power", lines
    if op in ("voltage", "current"):
        method = "set_voltage" if op == "voltage" else "set_current_limit"
        return "power", [f"await station.power.{method}({float(request.get('value', 0.0))!r})"]
    return None
