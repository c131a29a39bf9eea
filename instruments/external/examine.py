"""What ``bench doctor`` finds out about a server of the lab: template, secrets, way, TLS, token, what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bench.errors import BenchError
from bench.rsp import ids
from bench.station.external import Role, abilities_known
from bench.station.model import ServerConfig
from bench.trace.lane import NullLane
from instruments.external import credentials
from instruments.external.rest import NotFound, RestConnection
from instruments.external.rules import RULES
from instruments.external.template import Template, load

_NOBODY: Final = "89000000000000000000000000000000"
"""An EID digits of which no card has: 89, then zeros, and the check digits that fit."""
_ASKED: Final = {"eim": ("euicc", "show"), "smdpp": ("state", "notifications")}
"""Operations that change nothing, to be asked about what is not there."""


async def rest(role: Role, config: ServerConfig) -> list[dict[str, str]]:
    """Examine a server that is ordered from by a template. Orders nothing. Never raises for what the server does."""
    try:
        template = load(Path(config.template), role)
    except BenchError as error:
        return [_finding("template", "fail", str(error), error.hint)]
    found = [_finding("template", "ok", f"{config.template}: {len(template.operations)} operations")]
    try:
        has = bool(credentials.token(template.server))
        credentials.context(template.server)
    except BenchError as error:
        return [*found, _finding("secrets", "fail", str(error), error.hint)]
    exposed = credentials.readable_by_others(template.server)
    if exposed:
        text = f"{exposed} can be read by other users of this host"
        found.append(_finding("secrets", "warn", text, f"chmod 600 {exposed}"))
    elif not has and not template.server.client_certificate:
        hint = "token_file, token_env or client_certificate in [server], if the server wants one"
        found.append(_finding("secrets", "warn", "neither token nor client certificate: anybody may order there", hint))
    else:
        found.append(_finding("secrets", "ok", "token is there" if has else "client certificate is there"))
    found.append(await _answers(role, template))
    missing = [word for word in abilities_known(role) if word in RULES[role] and word not in template.abilities]
    if missing:
        text = f"no operation for {', '.join(missing)}: recipes that need them are refused"
        found.append(_finding("operations", "ok", text))
    return found


async def _answers(role: Role, template: Template) -> dict[str, str]:
    """Ask for something that is not there: HTTP 404, or an answer, says that the way and the token are good."""
    name = next((name for name in _ASKED[role] if name in template.operations), "")
    if not name:
        text = "no operation that only asks: whether it can be reached shows with the first order"
        return _finding("server", "unknown", text)
    connection = RestConnection(template, "eIM" if role == "eim" else "SM-DP+", NullLane())
    values = {"eid": _eid(), "order_id": "0", "matching_id": "0", "iccid": "89000000000000000006"}
    try:
        await connection.call(name, {key: values[key] for key in values if key in RULES[role][name].values})
    except NotFound as error:
        return _finding("server", "ok", f"{template.server.url} answers: {error.what}")
    except BenchError as error:
        # What is asked about is not there: whatever it thinks of that, it has answered, and let the bench in.
        answered = "refused" in error.what or "failed (HTTP" in error.what
        state = "unknown" if answered else "fail"
        return _finding("server", state, f"{error.where}: {error.what}", error.hint)
    finally:
        await connection.close()
    return _finding("server", "ok", f"{template.server.url} answers, and lets the bench in")


def _eid() -> str:
    stem = _NOBODY[:30]
    return next((stem + f"{number:02d}" for number in range(100) if ids.check_eid(stem + f"{number:02d}")), _NOBODY)


def _finding(name: str, state: str, text: str, hint: str = "") -> dict[str, str]:
    return {"name": name, "state": state, "text": text, "hint": hint}
