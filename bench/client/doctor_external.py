"""What ``bench doctor`` asks the lab's own eIM and SM-DP+, through their adapters. Nothing is ordered."""

from __future__ import annotations

import asyncio
from typing import Final

from bench.client.doctor_check import Check, Look, State
from bench.errors import BenchError
from bench.station import external as servers
from bench.station.config import EimConfig, SmdppConfig
from bench.station.external import TITLES, Role

WITHIN: Final = 60.0
"""Real seconds for one server: an adapter of somebody else must not keep the doctor."""
_STATES: Final[dict[str, State]] = {"ok": "ok", "warn": "warn", "fail": "fail"}


async def external(role: Role, config: EimConfig | SmdppConfig, look: Look | None = None) -> list[Check]:
    """Examine a server of the lab; ``look`` at the way to it as at one of the bench. Never raises for what it does."""
    name = f"{TITLES[role]} of the lab"
    try:
        async with asyncio.timeout(WITHIN):
            told = await servers.adapter(config).examine(role, config)
    except BenchError as error:
        return [Check(name, "fail", str(error), error.hint)]
    except TimeoutError:
        return [Check(name, "fail", f"no answer within {WITHIN:g} s", "look at its load and its log")]
    except Exception as error:  # an adapter of somebody else must not end the doctor
        hint = "that is a fault of the adapter: tell whoever made it"
        return [Check(name, "fail", f"adapter {config.adapter}: {type(error).__name__}: {error}", hint)]
    found = [
        Check(
            f"{name} {item.get('name', '')}",
            _STATES.get(item.get("state", ""), "unknown"),
            item.get("text", ""),
            item.get("hint", ""),
        )
        for item in told
    ]
    if look is not None and not any(item.state == "fail" for item in found):
        found += await look({"https": f"https://{config.advertise}", **servers.announcement(role, config)})
    return found
