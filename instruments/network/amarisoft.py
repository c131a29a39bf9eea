"""Amarisoft Callbox by its remote API: eNB (``resource``, port 9001) and MME (option ``mme``, port 9000).

What a cell is (PLMN, band, TAC) stands in the eNB's configuration file and cannot be changed by the remote API; its
power can (``cell_gain``, -200 to 0 dB), and -200 dB is off. The MME's HSS takes any number of subscribers.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Final

from bench.errors import ConfigurationError, InstrumentError, Refused
from bench.station.drivers import DriverOptions, SafeResult
from bench.station.interfaces import Identity, SafeAction
from bench.station.network import AttachedDevice, NetworkAbilities, NetworkAbility, NetworkSubscriber
from bench.trace.lane import NullLane
from instruments.network import answers, remote_api
from instruments.network.base import EmulatorDriver, cells_of, reason
from instruments.network.functions import Functions
from instruments.network.remote_api import RemoteApi
from instruments.scpi.parse import AnswerError

GAIN_OFF: Final = -200.0
REATTACH: Final = 1
"""Detach type of a network detach with re-attach (TS 24.301 section 9.9.3.7)."""


class AmarisoftCallbox(EmulatorDriver):
    """A callbox (interfaces.Network). Option ``full_power``: RSRP in dBm at the port with a cell gain of 0 dB."""

    refusals: ClassVar[Mapping[NetworkAbility, str]] = {
        "plmn": "the PLMN of a cell stands in the eNB's configuration file: give each PLMN a cell of its own",
        "tac": "the tracking area code stands in the eNB's configuration file",
        "band": "the band stands in the eNB's configuration file",
        "rat": "the RAT of a cell stands in the eNB's configuration file",
        "power": "the remote API knows gains only: measure the RSRP at 0 dB and give options = { full_power = -70.0 }",
        "reject-attach": "the remote API can reject a procedure (emm_procedure_filter) but not choose the cause",
        "reject-tau": "the remote API can reject a procedure (emm_procedure_filter) but not choose the cause",
        "subscriber": 'this needs the MME: options = { mme = "ws://HOST:9000" }',
        "attached": 'this needs the MME: options = { mme = "ws://HOST:9000" }',
        "detach": 'this needs the MME: options = { mme = "ws://HOST:9000" }',
        "dns": 'this needs the MME and the PDN: options = { mme = "ws://HOST:9000", apn = "internet" }',
        "sms": "SMS are the IMS server's, which this driver does not use",
    }
    highest_cell = 255

    def __init__(self, options: DriverOptions, enb: RemoteApi, mme: RemoteApi | None) -> None:
        ready = enb.ready
        full = options.extra.get("full_power")
        self._enb = enb
        self._mme = mme
        self._gains: dict[int, float] = {}
        self._full = None if full is None else float(str(full))
        super().__init__(
            options,
            Identity(
                "Amarisoft",
                str(ready.get("product") or ready.get("type") or "Callbox"),
                str(ready.get("name") or ""),
                str(ready.get("version") or ""),
            ),
            NetworkAbilities(
                frozenset(),
                cells=None,
                subscribers=None,
                rats=("LTE", "LTE-M", "NB-IoT"),
                power=None if self._full is None else (self._full + GAIN_OFF + 1, self._full),
            ),
        )

    def functions(self) -> Functions:
        """Return what the eNB does, and what the MME does where its address is given."""
        found = Functions(cell=self._set_cell, cell_on=self._cell_on, options=self._installed)
        if self._full is not None:
            found = replace(found, power=partial(self._set_power, self._full))
        mme, apn = self._mme, str(self._options.extra.get("apn") or "")
        if mme is not None:
            found = replace(
                found,
                subscriber=partial(self._set_subscriber, mme),
                attached=partial(self._attached, mme),
                detach=partial(self._detach, mme),
                paging=partial(self._page, mme),
                dns=partial(self._set_dns, mme, apn) if apn else None,
            )
        return found

    @classmethod
    async def open(cls, options: DriverOptions) -> AmarisoftCallbox:
        """Connect to eNB and MME, and find the station's cells; nothing is switched. Raises InstrumentError."""
        extra = options.known_extra("mme", "full_power", "apn", "netem", "tc")
        cls.check_cells(options)
        urls = [("resource", options.resource), *([("mme", str(extra["mme"]))] if extra.get("mme") else [])]
        for key, url in urls:
            if not re.fullmatch(r"wss?://[^\s/]+(/\S*)?", url):
                raise ConfigurationError(
                    f"'{key}' is '{url}'", where=options.origin, hint="a WebSocket address such as ws://192.0.2.10:9001"
                )
        full = extra.get("full_power")
        if full is not None and (isinstance(full, bool) or not isinstance(full, int | float)):
            raise ConfigurationError("'full_power' is a number in dBm", where=options.origin, hint="full_power = -70.0")
        opened: list[RemoteApi] = []
        try:
            for _, url in urls:
                opened.append(await RemoteApi.open(url, name=options.name, lane=options.lane, clock=options.clock))
            made = cls(options, opened[0], opened[1] if len(opened) > 1 else None)
            known = await made._cells()
            missing = [cell for cell in options.cells if cell not in known]
            if missing:
                raise Refused(
                    f"{options.name} has no cell {', '.join(map(str, missing))}",
                    where=options.origin or options.resource,
                    hint=f"its configuration has {', '.join(map(str, sorted(known))) or 'none'}",
                )
            await made._open_shaper()
        except BaseException:
            for api in opened:
                await api.close()
            raise
        return made

    @staticmethod
    def warm() -> None:
        """Import what ``open`` needs (drivers.WarmDriver)."""
        remote_api.warm()

    async def _close(self) -> None:
        for api in (self._enb, self._mme):
            if api is not None:
                await api.close()

    async def _cells(self) -> dict[int, dict[str, Any]]:
        return cells_in(await self._enb.ask("config_get"), where=f"{self._options.name}: config_get")

    async def _gain(self, cell: int) -> float:
        """Return the gain of a cell in dB. Raises AnswerError."""
        gain = (await self._cells()).get(cell, {}).get("gain")
        if isinstance(gain, bool) or not isinstance(gain, int | float) or not GAIN_OFF <= gain <= 0:
            raise AnswerError(
                f"{str(gain)[:20]} is no gain of cell {cell}",
                where=f"{self._options.name}: config_get",
                hint=f"{GAIN_OFF:g} to 0 dB: is the cell still in the eNB's configuration?",
            )
        return float(gain)

    async def _program_gain(self, cell: int, gain: float) -> None:
        await self._enb.ask("cell_gain", cell_id=cell, gain=gain)
        found = await self._gain(cell)
        if abs(found - gain) > 0.05:
            raise InstrumentError(
                f"the gain of cell {cell} is {found:g} dB after {gain:g} dB was set",
                where=f"{self._options.name}: cell_gain",
                hint="does another program change it?",
            )

    # --- cells ----------------------------------------------------------------------------------------------------

    async def _cell_on(self, cell: int) -> bool:
        return await self._gain(cell) > GAIN_OFF

    async def _set_cell(self, on: bool, cell: int) -> None:
        now = await self._gain(cell)
        if now > GAIN_OFF:
            self._gains[cell] = now
        if on and now <= GAIN_OFF:
            await self._program_gain(cell, self._gains.get(cell, 0.0))
        elif not on:
            await self._program_gain(cell, GAIN_OFF)

    async def _set_power(self, full: float, rsrp: float, cell: int) -> None:
        gain = round(rsrp - full, 2)
        self._gains[cell] = gain
        if await self._cell_on(cell):
            await self._program_gain(cell, gain)

    # --- subscriber, device ---------------------------------------------------------------------------------------

    async def _set_subscriber(self, mme: RemoteApi, subscriber: NetworkSubscriber, cell: int) -> None:
        entry: dict[str, object] = {
            "sim_algo": subscriber.algorithm,
            "imsi": subscriber.imsi,
            "K": subscriber.key.hex(),
            "amf": 0x8000,
            "sqn": "000000000000",
        }
        if subscriber.opc:
            entry["opc"] = subscriber.opc.hex()
        await mme.ask("ue_add", secret=f"ue_db entry of {subscriber.imsi}", ue_db=[entry])

    async def _set_dns(self, mme: RemoteApi, apn: str, servers: Sequence[str], cell: int) -> None:
        await mme.ask("config_set", pdn_list=[{"apn": apn, "dns_addr": list(servers)}])

    async def _attached(self, mme: RemoteApi, cell: int) -> AttachedDevice | None:
        table = (await self._cells()).get(cell, {})
        found = devices_in(await mme.ask("ue_get"), where=f"{self._options.name}: ue_get")
        return next((device for ue, device in found if serves(table, ue)), None)

    async def _needed(self, mme: RemoteApi, cell: int, what: str) -> AttachedDevice:
        """Return the attached device. Raises InstrumentError when there is none."""
        device = await self._attached(mme, cell)
        if device is None:
            raise InstrumentError(
                f"no device is attached to cell {cell}",
                where=f"{self._options.name}: {what}",
                hint="wait until it has registered",
            )
        return device

    async def _page(self, mme: RemoteApi, cell: int) -> None:
        device = await self._needed(mme, cell, "page_ue")
        await self._enb.ask("page_ue", imsi=device.imsi, cn_domain="ps", repeat=False)

    async def _detach(self, mme: RemoteApi, cell: int) -> None:
        device = await self._needed(mme, cell, "ue_detach")
        await mme.ask("ue_detach", imsi=device.imsi, type=REATTACH, cause=-1, repeat=False)

    async def _installed(self) -> list[str]:
        answer = await self._enb.ask("license")
        hidden = ("message", "message_id", "time", "utc")
        return [f"{key}={value}" for key, value in answer.items() if key not in hidden]

    # --- safe -----------------------------------------------------------------------------------------------------

    @classmethod
    def make_safe(cls, action: SafeAction, *, deadline: float) -> SafeResult:
        """Set the cells' gains to -200 dB over a fresh connection and read them back (drivers.SafeDriver)."""
        return asyncio.run(_make_safe(action, deadline))


async def _make_safe(action: SafeAction, deadline: float) -> SafeResult:
    from bench.station.clock import RealClock

    url, cells = str(action.options.get("resource", "")), cells_of(action)
    until = time.monotonic() + deadline
    while True:
        try:
            async with asyncio.timeout(max(until - time.monotonic(), 0.01)):
                api = await RemoteApi.open(url, name="network", lane=NullLane(), clock=RealClock())
                try:
                    wanted = str(action.options.get("serial") or "")
                    if wanted and str(api.ready.get("name") or "") != wanted:
                        raise InstrumentError(
                            f"'{api.ready.get('name')}' answers instead of '{wanted}': not touched",
                            where=url,
                            hint="another process has this address now: switch off by hand",
                        )
                    for cell in cells:
                        await api.ask("cell_gain", cell_id=cell, gain=GAIN_OFF)
                    known = cells_in(await api.ask("config_get"), where=url)
                    gains = {cell: known.get(cell, {}).get("gain") for cell in cells}
                finally:
                    await api.close()
            reading = " ".join(f"{cell}:{gain} dB" for cell, gain in gains.items())
            off = all(isinstance(gain, int | float) and gain <= GAIN_OFF for gain in gains.values())
            return SafeResult(action.name, off, reading, "RF off" if off else "RF NOT OFF")
        except (InstrumentError, OSError, TimeoutError) as error:
            if time.monotonic() + 0.1 >= until:
                return SafeResult(action.name, False, None, f"RF NOT OFF: {reason(error)}")
            await asyncio.sleep(0.1)


def cells_in(answer: Mapping[str, Any], *, where: str) -> dict[int, dict[str, Any]]:
    """Return the cells of ``config_get`` by their id. Raises AnswerError."""
    found: dict[int, dict[str, Any]] = {}
    for name in ("cells", "nb_cells"):
        tables = answer.get(name, {})
        if not isinstance(tables, dict):
            raise AnswerError(f"'{name}' is no object", where=where)
        for key, table in tables.items():
            if re.fullmatch(r"[0-9]{1,5}", str(key)) and isinstance(table, dict):
                found[int(key)] = table
    if not found:
        raise AnswerError("no cells in the configuration", where=where)
    return found


def devices_in(answer: Mapping[str, Any], *, where: str) -> list[tuple[Mapping[str, Any], AttachedDevice]]:
    """Return the registered devices of the MME's ``ue_get``. Raises AnswerError."""
    listed = answer.get("ue_list")
    if not isinstance(listed, list):
        raise AnswerError("no 'ue_list'", where=where)
    found: list[tuple[Mapping[str, Any], AttachedDevice]] = []
    for ue in listed:
        if not isinstance(ue, dict) or not ue.get("registered", True):
            continue
        imsi = str(ue.get("imsi") or "")
        if not re.fullmatch(r"[0-9]{6,15}", imsi):
            continue
        bearers = ue.get("bearers")
        addresses = tuple(
            address
            for bearer in (bearers if isinstance(bearers, list) else ())
            if isinstance(bearer, dict)
            for key in ("ip", "ipv6")
            for address in _addresses(bearer.get(key), where)
        )
        imei = str(ue.get("imeisv") or ue.get("imei") or "")
        device = AttachedDevice(imsi, imei if re.fullmatch(r"[0-9]{14,16}", imei) else "", addresses, "enb_ue_id" in ue)
        found.append((ue, device))
    return found


def _addresses(told: object, where: str) -> tuple[str, ...]:
    try:
        return answers.addresses(str(told or ""))
    except AnswerError as error:
        error.where = where
        raise


def serves(cell: Mapping[str, Any], ue: Mapping[str, Any]) -> bool:
    """Return whether a device of the MME is in a cell of the eNB: by tracking area and PLMN, where both tell them."""
    tac, plmns = cell.get("tac"), cell.get("plmn_list")
    if isinstance(tac, int) and isinstance(ue.get("tac"), int) and tac != ue["tac"]:
        return False
    if isinstance(plmns, list) and plmns and ue.get("tac_plmn"):
        names = {str(item.get("plmn")) if isinstance(item, dict) else str(item) for item in plmns}
        return str(ue["tac_plmn"]) in names
    return True
