"""The adapters ``rest`` and ``ask``: entry points ``external-rest`` and ``external-ask`` of ``bench.services``."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from bench.errors import ConfigurationError
from bench.station.external import AdapterContext, Role, ServerAdapter
from bench.station.model import ServerConfig
from instruments.external.template import Template, load


class Rest:
    """By REST calls as a template describes them."""

    asks = False

    def abilities(self, role: Role, config: ServerConfig) -> Collection[str]:
        """Return what the template has operations for. Raises ConfigurationError for a template that is wrong."""
        return self._template(role, config).abilities

    def open(self, role: Role, config: ServerConfig, context: AdapterContext) -> Any:
        """Return the service; it connects at its first call."""
        template = self._template(role, config)
        if role == "eim":
            from instruments.external.eim import CountingEim, RestEim

            euicc = template.operations.get("euicc")
            counts = euicc is not None and "polls" in euicc.answer
            return (CountingEim if counts else RestEim)(config, template, context)
        from instruments.external.smdpp import RestSmdpp

        return RestSmdpp(config, template, context)

    async def examine(self, role: Role, config: ServerConfig) -> list[dict[str, str]]:
        """Look at template, secrets, TLS and token, and what is not offered."""
        from instruments.external.examine import rest

        return await rest(role, config)

    @staticmethod
    def _template(role: Role, config: ServerConfig) -> Template:
        if config.options:
            name = next(iter(config.options))
            raise ConfigurationError(f"there is no option '{name}'", where=config.origin, hint="the template says all")
        return load(Path(config.template), role)


class Ask:
    """By a person, who is told what to order."""

    asks = True

    def abilities(self, role: Role, config: ServerConfig) -> Collection[str]:
        """Return what a person can do."""
        from instruments.external.ask import EIM_OFFERS, SMDPP_OFFERS

        self._check(role, config)
        return EIM_OFFERS if role == "eim" else SMDPP_OFFERS

    def open(self, role: Role, config: ServerConfig, context: AdapterContext) -> Any:
        """Return the service."""
        from instruments.external.ask import AskEim, AskSmdpp

        return AskEim(config, context) if role == "eim" else AskSmdpp(config, context)

    async def examine(self, role: Role, config: ServerConfig) -> list[dict[str, str]]:
        """There is a person to be asked, and nothing else."""
        self._check(role, config)
        text = f"{config.advertise}: a person places the orders; unattended runs are refused"
        return [{"name": "adapter", "state": "ok", "text": text, "hint": ""}]

    @staticmethod
    def _check(role: Role, config: ServerConfig) -> None:
        from bench.trace.lane import NullLane
        from instruments.external.ask import AskSmdpp, options_of

        if role == "smdpp":
            AskSmdpp(config, AdapterContext(Path(), NullLane, lambda text: None))
        else:
            options_of(config, "timeout", "judge_without")


REST: ServerAdapter = Rest()
ASK: ServerAdapter = Ask()
