"""Servers of the lab that a person orders from: the bench says what to order, the person says how it went.

An answer is a choice, so what has to be typed goes by a file: activation codes stand in the file that option ``codes``
of ``[smdpp]`` names, a line each: ``PROFILE LPA:1$address$matchingId ICCID``, ``#`` begins a comment.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.errors import ConfigurationError, InstrumentError, Refused
from bench.station.external import AdapterContext, announcement
from bench.station.interfaces import EIM_COMMANDS, EimOrder, ProfileOrder, ProfileState
from bench.station.model import ServerConfig
from bench.station.order_key import order_key
from bench.trace.lane import Direction, Lane
from instruments.external.book import Book, Entry
from instruments.external.orders import FINAL, LOST, ExternalEim, kept, made

if TYPE_CHECKING:
    from bench.station.dut_parts import Asker

PLACED: Final = ("done", "failed")
SHOWN: Final = ("done", "failed", "waiting", "cannot tell")
_STATES: Final = {"done": "done", "failed": "failed", "waiting": "sent", "cannot tell": LOST}
EIM_OFFERS: Final = frozenset(EIM_COMMANDS) | {"download", "direct-download", "package", "cancel"}
SMDPP_OFFERS: Final = frozenset({"state"})
_WORDS: Final[Mapping[str, str]] = {
    "download": "an indirect profile download",
    "direct-download": "a direct profile download (the IPA speaks to the SM-DP+ itself)",
    "package": "one eUICC package with these commands",
}


def options_of(config: ServerConfig, *known: str) -> dict[str, Any]:
    """Return the options of a table. Raises ConfigurationError for those that are not ``known``, or wrong."""
    for name in config.options:
        if name not in known:
            raise ConfigurationError(f"there is no option '{name}'", where=config.origin, hint=", ".join(known))
    timeout = config.options.get("timeout")
    if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout < 1):
        raise ConfigurationError(f"'timeout' is {timeout!r}, seconds are due", where=config.origin)
    waived = config.options.get("judge_without", [])
    if not isinstance(waived, list) or any(item not in ("state", "notifications") for item in waived):
        hint = 'a list of "state", "notifications"'
        raise ConfigurationError(f"'judge_without' is {waived!r}", where=config.origin, hint=hint)
    return dict(config.options)


class Person:
    """The way to the person; what is asked and answered is a lane."""

    def __init__(self, lane: Lane, origin: str, timeout: float | None) -> None:
        self.asker: Asker | None = None
        self._lane = lane
        self._origin = origin
        self._timeout = timeout

    async def ask(self, text: str, choices: Sequence[str]) -> str:
        """Ask. Raises Refused when nobody can be asked, InstrumentError when nobody answers in time."""
        if self.asker is None:
            raise Refused(
                "orders at the lab's own server are placed by a person, and nobody can be asked",
                where=self._origin,
                hint="run it from a terminal with --attended",
            )
        self._lane.record(Direction.SENT, text.encode(), comment=text)
        try:
            answer = await self.asker(text, choices, timeout=self._timeout)
        except TimeoutError:
            raise InstrumentError(
                f"nobody answered within {self._timeout:g} s: {text}",
                where=self._origin,
                hint="options = { timeout = ... } in seconds; without it a day",
            ) from None
        self._lane.record(Direction.RECEIVED, answer.encode(), comment=answer)
        return answer


class AskEim(ExternalEim):
    """An eIM whose operator sits at the bench. ``asker`` is given by who runs the recipe."""

    def __init__(self, config: ServerConfig, context: AdapterContext) -> None:
        told = announcement("eim", config)
        book = Book(context.home, "eim", f"ask {told['eim_id']}")
        super().__init__(told["eim_id"], told["fqdn"], EIM_OFFERS, book)
        options = options_of(config, "timeout", "judge_without")
        self.judge_without = tuple(options.get("judge_without", ()))
        self._person = Person(context.lane("ask:eim"), config.origin, options.get("timeout"))

    @property
    def asker(self) -> Asker | None:
        """The way to the person."""
        return self._person.asker

    @asker.setter
    def asker(self, asker: Asker | None) -> None:
        self._person.asker = asker

    async def register(self, eid: str) -> None:
        """The person is asked for orders; that the eIM must know the eUICC, each of them says."""

    async def initial_configuration(self, eid: str = "", *, token: bool = False) -> bytes:
        """A person cannot type an EimConfigurationData. Raises NotOffered."""
        raise self._without("configuration")

    async def notifications(self, eid: str, *, wait: float = 0.0) -> Sequence[Mapping[str, object]]:
        """Nothing is known of them."""
        return ()

    async def state_changes(self, eid: str) -> Sequence[Mapping[str, object]]:
        """Nothing is known of them. Raises NotOffered."""
        raise self._without("state-changes")

    async def _place(self, operation: str, eid: str, ordered: Mapping[str, Any]) -> EimOrder:
        told = {k: v for k, v in ordered.items() if k != "confirmation_code"}
        entry, before = self._book.begin(eid, operation, told)
        if entry.order_id:
            return kept(entry)
        what = _WORDS.get(operation, operation)
        details = ", ".join(f"{name} {value}" for name, value in ordered.items())
        text = f"Place this order at your eIM {self.fqdn} for EID {eid}: {what}" + (f" ({details})" if details else "")
        if before:
            text += ". The bench was interrupted as it asked for it: where it is placed already, leave it at that"
        answer = await self._person.ask(f"{text}. Then answer.", PLACED)
        entry.order_id = f"{operation}-{entry.key[:8]}"
        if answer != "done":
            entry.state, entry.told = "cancelled", {"error": {"what": "the person could not place it"}}
            self._book.write(entry)
            raise InstrumentError(
                f"the order could not be placed at the lab's own eIM: {what}",
                where=self._where,
                hint="its own log says why; does it know this EID?",
            )
        self._book.write(entry)
        return made(entry, "pending")

    async def _look(self, entry: Entry) -> EimOrder:
        if not entry.order_id:
            entry.state, entry.told = "cancelled", {"error": {"what": "the run ended while the person was asked"}}
            self._book.write(entry)
            return made(entry, entry.state)
        what = _WORDS.get(entry.kind, entry.kind)
        answer = await self._person.ask(
            f"What does your eIM {self.fqdn} say now of the order {entry.order_id} ({what}) for EID {entry.eid}?", SHOWN
        )
        state = _STATES.get(answer, LOST)
        error = {"what": "the eIM's operator says that it failed"} if state == "failed" else {}
        return self._end(entry, made(entry, state, error=error))

    async def cancel(self, order_id: str) -> EimOrder:
        """Have the person cancel an order."""
        entry = self._book.numbered(order_id)
        shown = await self.show(order_id)
        if entry is None or shown.state in FINAL:
            return shown
        await self._person.ask(f"Cancel the order {order_id} at your eIM {self.fqdn}. Then answer.", PLACED)
        entry.state = "cancelled"
        self._book.write(entry)
        return made(entry, "cancelled")

    async def orders(self, eid: str) -> Sequence[EimOrder]:
        """Return the orders that were placed for an eUICC; nobody is asked what became of those of earlier runs."""
        found = []
        for entry in self._book.of(eid):
            if not entry.state and (not entry.order_id or time.time() - entry.at > 86_400):
                entry.state = "cancelled"
            found.append(made(entry, entry.state or "pending"))
        return found


class AskSmdpp:
    """An SM-DP+ whose operator makes profiles ready and writes their activation codes into a file."""

    external = True
    abilities = SMDPP_OFFERS

    def __init__(self, config: ServerConfig, context: AdapterContext) -> None:
        self.address = config.advertise
        options = options_of(config, "timeout", "codes", "judge_without")
        self.judge_without = tuple(options.get("judge_without", ()))
        codes = options.get("codes")
        if not isinstance(codes, str) or not codes:
            raise ConfigurationError(
                "'codes' is missing: the file where the person writes activation codes",
                where=config.origin,
                hint='options = { codes = "codes.txt" } with lines PROFILE LPA:1$address$matchingId ICCID',
            )
        self.codes = Path(config.origin.rpartition(":")[0] or ".").parent / Path(codes).expanduser()
        self._person = Person(context.lane("ask:smdpp"), config.origin, options.get("timeout"))
        self._book = Book(context.home, "smdpp", f"ask {config.advertise}")

    @property
    def asker(self) -> Asker | None:
        """The way to the person."""
        return self._person.asker

    @asker.setter
    def asker(self, asker: Asker | None) -> None:
        self._person.asker = asker

    async def close(self) -> None:
        """Nothing is open."""

    async def order(self, profile: str, *, eid: str = "") -> ProfileOrder:
        """Take the next unused code of the file; where there is none, the person is asked to write one."""
        found = self._taken(order_key()) or self._unused(profile)
        if found is None:
            text = (
                f"Make a profile '{profile}' ready at your SM-DP+ {self.address}"
                + (f" for EID {eid}" if eid else "")
                + f" and add the line '{profile} LPA:1${self.address}$MATCHING-ID ICCID' to {self.codes}. Then answer."
            )
            if await self._person.ask(text, PLACED) == "done":
                found = self._unused(profile)
        if found is None:
            raise InstrumentError(
                f"there is no unused activation code of a profile '{profile}'",
                where=str(self.codes),
                hint=f"add a line: {profile} LPA:1${self.address}$MATCHING-ID ICCID",
            )
        entry, _ = self._book.begin(eid, "order", {"profile": profile, "iccid": found.iccid})
        entry.order_id = found.matching_id
        self._book.write(entry)
        return found

    async def state(self, matching_id: str) -> ProfileState:
        """Ask the person what the SM-DP+ says of an order."""
        entry = self._book.numbered(matching_id)
        iccid = str(entry.ordered.get("iccid", "")) if entry is not None else ""
        text = f"What does your SM-DP+ {self.address} say now of the profile {iccid} (matching id {matching_id})?"
        answer = await self._person.ask(text, ("installed", "downloaded", "released", "error", "cannot tell"))
        state = LOST if answer == "cannot tell" else answer
        return ProfileState(matching_id, state, iccid, entry.eid if entry else "", (), notifications_told=False)

    def _taken(self, key: str) -> ProfileOrder | None:
        """Return the code that was taken for this order before an interruption."""
        entry = self._book.known(key)
        wanted = entry.order_id if entry is not None else ""
        return next((found for _, found in self._lines() if wanted and found.matching_id == wanted), None)

    def _unused(self, profile: str) -> ProfileOrder | None:
        return next(
            (
                found
                for name, found in self._lines()
                if name == profile and self._book.numbered(found.matching_id) is None
            ),
            None,
        )

    def _lines(self) -> list[tuple[str, ProfileOrder]]:
        try:
            text = self.codes.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InstrumentError(f"the codes cannot be read: {error.strerror}", where=str(self.codes)) from error
        return codes_in(text, str(self.codes))


def codes_in(text: str, where: str) -> list[tuple[str, ProfileOrder]]:
    """Return the profiles and codes of a file's lines. Raises InstrumentError that names the line that is wrong."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        parts = words[1].removeprefix("LPA:").split("$") if len(words) == 3 else []
        digits = words[2].rstrip("Ff") if len(words) == 3 else ""
        good = len(parts) >= 3 and parts[0] == "1" and parts[1] and parts[2]
        if not good or not digits.isascii() or not digits.isdecimal() or len(digits) not in (18, 19, 20):
            raise InstrumentError(
                f"this is no line of activation codes: {line[:100]!r}",
                where=f"{where}:{number}",
                hint="PROFILE LPA:1$address$matchingId ICCID",
            )
        found.append((words[0], ProfileOrder(digits, parts[2], parts[1], "LPA:" + "$".join(parts))))
    return found
