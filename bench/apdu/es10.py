"""The ES10 client: SGP.22 and SGP.32 functions of ISD-R over any card channel.

Bytes are kept: what a server must see (AuthenticateServer and PrepareDownload answers, installation results, eUICC
package results, certificates) is returned as the card sent it, with a decoded look beside it. The carrier, its channel
bits and its recording are the channel's business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from bench.apdu import es10_codec as codec
from bench.apdu import es10_views as views
from bench.apdu.channel import CardAccess, LogicalChannel
from bench.apdu.errors import CardAnswerError, CardNeedsReset, Es10Error, StatusWordError
from bench.apdu.es10_answers import (
    Cancellation,
    DownloadPreparation,
    Rollback,
    ServerAuthentication,
    changes_profile,
    nested_error,
)
from bench.apdu.es10_results import function_name, result_name
from bench.apdu.exchange import collect
from bench.apdu.iso7816 import Command, Response
from bench.apdu.status import describe
from bench.apdu.store_data import DEFAULT_SEGMENT, chain
from bench.errors import InstrumentTimeout
from bench.rsp import ids, tlv
from bench.rsp.errors import DecodeError

ISD_R_AID = bytes.fromhex("A0000005591010FFFFFFFF8900000100")
ORDINARY_DEADLINE = 10.0
"""Seconds for one APDU."""
LOADING_DEADLINE = 240.0
"""Seconds for LoadBoundProfilePackage or LoadEuiccPackage as a whole."""

_CONDITIONAL = frozenset({0xBF21, 0xBF36, 0xBF38, 0xBF41, 0xBF5A})
"""Functions that a healthy card may answer with 6985: they need a download session in the right state."""
_RESET_HINT = "reset the card and open ISD-R again"


class Now(Protocol):
    """A clock in seconds, such as the station's."""

    def now(self) -> float:
        """Return seconds since an arbitrary start."""


class Es10:
    """ISD-R behind an open logical channel.

    ``segment``: bytes of data in a STORE DATA block (255; 120 for modems with short lines). ``clock``: with it the
    deadline of the loading functions holds for the whole function, without it for each APDU. ``on_exchange(tag,
    request, answer)`` is called after every function that the card answered.

    Every method raises CardGone and InstrumentTimeout of the channel, StatusWordError for a status word other than
    success, CardNeedsReset for a card that answers 6985 until it is reset, and CardAnswerError for an answer that
    cannot be read. Methods that return nothing but success raise Es10Error with the card's code otherwise.
    """

    def __init__(
        self,
        channel: LogicalChannel,
        *,
        segment: int = DEFAULT_SEGMENT,
        clock: Now | None = None,
        deadline: float = ORDINARY_DEADLINE,
        loading_deadline: float = LOADING_DEADLINE,
        on_exchange: Callable[[int, bytes, bytes], None] | None = None,
    ) -> None:
        self._channel = channel
        self._segment = segment
        self._clock = clock
        self._deadline = deadline
        self._loading_deadline = loading_deadline
        self._on_exchange = on_exchange
        self.apdus = 0
        """Command APDUs sent, GET RESPONSE and repeats included."""
        self.calls: Counter[str] = Counter()
        """Functions called, by name."""
        self.switched = False
        """A function of this channel changed the enabled profile."""
        self.proactive: int | None = None
        """Length of the proactive command (REFRESH, say) that the card announced last with 91xx."""

    @classmethod
    async def open(
        cls, card: CardAccess, *, segment: int = DEFAULT_SEGMENT, clock: Now | None = None, aid: bytes = ISD_R_AID
    ) -> Es10:
        """Open a channel to ISD-R. The caller closes it with ``close``. Raises NoSuchApplication."""
        return cls(await card.open_channel(aid), segment=segment, clock=clock)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    # --- the exchange ---------------------------------------------------------------------------------------------

    async def call(self, request: bytes, *, whole: float | None = None, tag: int | None = None) -> bytes:
        """Send one ES10 request (or unit of a BPP) and return the card's whole answer, b'' when it has none.

        ``whole``: seconds for all APDUs of it together, instead of the ordinary deadline for each. ``tag`` names the
        function where the request does not begin with its tag.
        """
        if tag is None:
            tag = _tag(request)
        self.calls[function_name(tag)] += 1
        until = None if whole is None or self._clock is None else self._clock.now() + whole
        data = b""
        for command in chain(request, segment=self._segment):
            response = await self._transceive(command, tag, whole, until)
            if not response.ok:
                self._refused(tag, command, response)
            if response.proactive is not None:
                self.proactive = response.proactive
            data = response.data
            if data:
                break  # an answer before the last block ends the function: the card refused the rest of a BPP
        if self._on_exchange is not None:
            self._on_exchange(tag, request, data)
        return data

    async def _transceive(self, command: Command, tag: int, whole: float | None, until: float | None) -> Response:
        collector = collect(command)
        outgoing = next(collector)
        while True:
            timeout = self._deadline if whole is None else whole
            if until is not None and self._clock is not None:
                timeout = until - self._clock.now()
                if timeout <= 0:
                    raise InstrumentTimeout(
                        f"the card did not end it within {whole:g} s",
                        where=function_name(tag),
                        hint="raise the deadline for a slow card or carrier, or look for a card that is stuck",
                    )
            self.apdus += 1
            response = Response.parse(await self._channel.transmit(bytes(outgoing), timeout=timeout))
            try:
                outgoing = collector.send(response)
            except StopIteration as end:
                final: Response = end.value
                return final

    def _refused(self, tag: int, command: Command, response: Response) -> None:
        where = f"{function_name(tag)}, {command}"
        word = response.status_word
        if word == 0x6985 and (self.switched or tag not in _CONDITIONAL):
            raise CardNeedsReset(
                "the card answers 6985 to every function"
                + (" since the enabled profile changed" if self.switched else ""),
                status_word=word,
                where=where,
                hint=_RESET_HINT,
            )
        raise StatusWordError(f"the card answered {describe(word)}", status_word=word, where=where, hint=_hint(word))

    async def _function(self, request: bytes) -> tlv.Tlv:
        tag = _tag(request)
        return views.answer(await self.call(request), tag)

    async def _result(self, request: bytes, *, allowed: Iterable[int] = (0,)) -> int:
        """Call a function that answers one number; raise Es10Error unless it is one of ``allowed``."""
        tag = _tag(request)
        code = views.result_code(await self.call(request), tag)
        if code not in allowed:
            raise Es10Error(function_name(tag), code, result_name(tag, code))
        return code

    def _no_error(self, found: tlv.Tlv, *tags: int) -> tlv.Tlv:
        code = views.error_code(found, *tags)
        if code is not None:
            raise Es10Error(function_name(found.tag), code, result_name(found.tag, code))
        return found

    # --- the card and its profiles --------------------------------------------------------------------------------

    async def eid(self) -> str:
        """GetEID: 32 digits (SGP.22 section 5.7.20)."""
        found = (await self._function(codec.GET_EID)).find(0x5A)
        if found is None:
            raise CardAnswerError("no EID in the answer", where="GetEID")
        try:
            return ids.eid_digits(found.value)
        except DecodeError as error:
            raise CardAnswerError(error.what, where="GetEID") from error

    async def profiles(
        self,
        *,
        iccid: str | None = None,
        aid: bytes | None = None,
        profile_class: int | None = None,
        tags: bytes | None = None,
    ) -> tuple[views.Profile, ...]:
        """GetProfilesInfo (SGP.22 section 5.7.15, SGP.32 section 5.9.14)."""
        request = codec.get_profiles_info(iccid=iccid, aid=aid, profile_class=profile_class, tags=tags)
        return views.profiles(self._no_error(await self._function(request), 0x81))

    async def euicc_info1(self) -> bytes:
        """GetEuiccInfo1: the BF20 as it came."""
        return (await self._function(codec.GET_EUICC_INFO1)).raw

    async def euicc_info2(self) -> bytes:
        """GetEuiccInfo2: the BF22 as it came."""
        return (await self._function(codec.GET_EUICC_INFO2)).raw

    async def configured_addresses(self) -> tuple[str, str]:
        """GetEuiccConfiguredAddresses: default SM-DP+ and root SM-DS address, empty where there is none."""
        found = await self._function(codec.GET_CONFIGURED_ADDRESSES)
        default, root = found.find(0x80), found.find(0x81)
        return views.text(default.value) if default else "", views.text(root.value) if root else ""

    async def certificates(self, ci_key_id: bytes | None = None) -> views.Certificates:
        """GetCerts (SGP.32 section 5.9.10). Raises Es10Error with invalidCiPKId (1)."""
        return views.certificates(self._no_error(await self._function(codec.get_certs(ci_key_id)), 0x81))

    async def rules_authorisation_table(self) -> bytes:
        """GetRAT: the BF43 as it came."""
        return (await self._function(codec.GET_RAT)).raw

    async def connectivity_parameters(self) -> bytes:
        """GetConnectivityParameters: httpParams of the enabled profile (SGP.32 section 5.9.24), b'' when absent."""
        found = self._no_error(await self._function(codec.GET_CONNECTIVITY_PARAMETERS), 0x81)
        parameters = found.find(0xA0, 0x81)
        return parameters.value if parameters else b""

    # --- download -------------------------------------------------------------------------------------------------

    async def challenge(self) -> bytes:
        """GetEuiccChallenge: 16 bytes; opens a new download session in the card."""
        found = (await self._function(codec.GET_EUICC_CHALLENGE)).find(0x80)
        if found is None or len(found.value) != 16:
            raise CardAnswerError("no challenge of 16 bytes in the answer", where="GetEuiccChallenge")
        return found.value

    async def authenticate_server(self, request: bytes) -> ServerAuthentication:
        """AuthenticateServer: a BF38 request in, the BF38 answer as it came out."""
        found = await self._function(request)
        return ServerAuthentication(found.raw, nested_error(found))

    async def prepare_download(self, request: bytes) -> DownloadPreparation:
        """PrepareDownload: a BF21 request in, the BF21 answer as it came out."""
        found = await self._function(request)
        return DownloadPreparation(found.raw, nested_error(found))

    async def load_bpp(self, units: Sequence[bytes]) -> bytes:
        """LoadBoundProfilePackage: one STORE DATA chain a unit (SGP.22 section 2.5.5); return the BF37 as it came.

        Ends with the first unit that has an answer. Raises CardAnswerError when no unit has one, StatusWordError when
        the card refuses an APDU: in both cases the session is to be cancelled.
        """
        until = None if self._clock is None else self._clock.now() + self._loading_deadline
        for unit in units:
            left = self._loading_deadline
            if until is not None and self._clock is not None:
                left = max(until - self._clock.now(), 0.0)
            data = await self.call(unit, whole=left, tag=0xBF36)
            if data:
                return views.answer(data, 0xBF37).raw
        raise CardAnswerError(
            f"the card took all {len(units)} units of the profile package and gave no installation result",
            where="LoadBoundProfilePackage",
        )

    async def cancel_session(self, transaction_id: bytes, reason: int) -> Cancellation:
        """CancelSession: the BF41 as it came, with its error code if it is one."""
        found = await self._function(codec.cancel_session(transaction_id, reason))
        return Cancellation(found.raw, views.error_code(found, 0x81))

    # --- notifications and eUICC package results ------------------------------------------------------------------

    async def list_notifications(self, events: int | None = None) -> tuple[views.NotificationMetadata, ...]:
        """ListNotification: numbers and kinds of what is pending, by rising number."""
        found = self._no_error(await self._function(codec.list_notification(events)), 0x81)
        return tuple(sorted(views.metadata_list(found), key=lambda metadata: metadata.seq))

    async def retrieve_notifications(
        self, *, seq: int | None = None, events: int | None = None
    ) -> tuple[views.Notification, ...]:
        """RetrieveNotificationsList: pending notifications, all, one by number, or of some events."""
        found = await self._function(codec.retrieve_notifications(seq=seq, events=events))
        return views.notifications(self._no_error(found, 0x81))

    async def package_results(self) -> tuple[bytes, ...]:
        """RetrieveNotificationsList for eUICC package results: each BF51 as it is stored, oldest first."""
        found = self._no_error(await self._function(codec.RETRIEVE_PACKAGE_RESULTS), 0x81)
        return views.package_results(found)

    async def remove_notification(self, seq: int) -> bool:
        """RemoveNotificationFromList: True when removed, False when it was not there (any more)."""
        return await self._result(codec.remove_notification(seq), allowed=(0, 1)) == 0

    # --- eIM ------------------------------------------------------------------------------------------------------

    async def load_euicc_package(self, request: bytes) -> bytes:
        """LoadEuiccPackage: a BF51 request in, the BF51 result as it came out (SGP.32 section 5.9.1)."""
        raw = views.answer(await self.call(request, whole=self._loading_deadline), 0xBF51).raw
        if changes_profile(raw):
            self.switched = True
        return raw

    async def eim_configurations(self, eim_id: str | None = None) -> tuple[views.EimConfiguration, ...]:
        """GetEimConfigurationData (SGP.32 section 5.9.18)."""
        return views.eim_configurations(await self._function(codec.get_eim_configuration_data(eim_id)))

    async def add_initial_eim(self, configurations: Sequence[bytes]) -> tuple[int | None, ...]:
        """AddInitialEim: for each eIM the association token the card made, or None (SGP.32 section 5.9.4)."""
        found = self._no_error(await self._function(codec.add_initial_eim(configurations)), 0x81)
        done = found.find(0xA0)
        if done is None:
            raise CardAnswerError(f"neither result nor error: {found.raw.hex()}", where="AddInitialEim")
        return tuple(views.signed(item.value) if item.tag == 0x84 else None for item in done.children())

    async def profile_rollback(self, *, refresh: bool) -> Rollback:
        """ProfileRollback (SGP.32 section 5.9.16): code 0 with the eUICC package result to deliver, or the refusal."""
        found = await self._function(codec.with_refresh_flag(0xBF58, refresh))
        number = found.find(0x02) or found.find(0x80)
        if number is None:
            raise CardAnswerError(f"no cmdResult: {found.raw.hex()}", where="ProfileRollback")
        code = views.signed(number.value)
        package_result = found.find(0xBF51)
        if code == 0:
            self.switched = True
        return Rollback(found.raw, code, result_name(0xBF58, code), package_result.raw if package_result else b"")

    async def immediate_enable(self, *, refresh: bool) -> None:
        """ImmediateEnable (SGP.32 section 5.9.15)."""
        await self._switch(codec.with_refresh_flag(0xBF5A, refresh))

    async def execute_fallback(self, *, refresh: bool) -> None:
        """ExecuteFallbackMechanism (SGP.32 section 5.9.20)."""
        await self._switch(codec.with_refresh_flag(0xBF5D, refresh))

    async def return_from_fallback(self, *, refresh: bool) -> None:
        """ReturnFromFallback (SGP.32 section 5.9.21)."""
        await self._switch(codec.with_refresh_flag(0xBF5E, refresh))

    async def configure_immediate_enable(
        self, *, flag: bool, smdp_oid: bytes | None = None, smdp_address: str | None = None
    ) -> None:
        """ConfigureImmediateProfileEnabling (SGP.32 section 5.9.17); refused while an eIM is associated."""
        await self._result(codec.configure_immediate_enable(flag=flag, smdp_oid=smdp_oid, smdp_address=smdp_address))

    async def set_default_dp_address(self, address: str, *, consumer: bool = False) -> None:
        """SetDefaultDpAddress (SGP.32 section 5.9.25; SGP.22 section 5.7.4 for a consumer eUICC)."""
        await self._result(codec.set_default_dp_address(address, consumer=consumer))

    async def memory_reset(self, options: int, *, consumer: bool = False) -> bool:
        """Call eUICCMemoryReset (SGP.32 section 5.9.5): True when something was deleted, False otherwise."""
        return await self._result(codec.memory_reset(options, consumer=consumer), allowed=(0, 1)) == 0

    # --- ES10c, consumer eUICCs -----------------------------------------------------------------------------------

    async def enable_profile(self, iccid: str, *, refresh: bool) -> None:
        """EnableProfile (SGP.22 section 5.7.16)."""
        await self._switch(codec.profile_command(0xBF31, iccid, refresh))

    async def disable_profile(self, iccid: str, *, refresh: bool) -> None:
        """DisableProfile (SGP.22 section 5.7.17)."""
        await self._switch(codec.profile_command(0xBF32, iccid, refresh))

    async def delete_profile(self, iccid: str) -> None:
        """DeleteProfile (SGP.22 section 5.7.18)."""
        await self._result(codec.delete_profile(iccid))

    async def set_nickname(self, iccid: str, nickname: str) -> None:
        """SetNickname (SGP.22 section 5.7.21)."""
        await self._result(codec.set_nickname(iccid, nickname))

    async def _switch(self, request: bytes) -> None:
        await self._result(request)
        self.switched = True


def _tag(request: bytes) -> int:
    """Return the outer tag of a request, two bytes for BFxx."""
    if len(request) >= 2 and request[0] & 0x1F == 0x1F:
        return int.from_bytes(request[:2], "big")
    return request[0] if request else 0


def _hint(word: int) -> str:
    if word == 0x6881:
        return "the logical channel is closed, as after a reset: open it again"
    if word in (0x6700, 0x6A80, 0x6F00):
        return "if it comes with long requests only, try segment = 120"
    return ""
