"""The ES10 client: SGP.22 and SGP.32 functions of ISD-R over any card channel.

Bytes are kept: what a server must see (AuthenticateServer and PrepareDownload answers, installation results, eUICC
package results, certificates) is returned as the card sent it, with a decoded look beside it. The carrier, its channel
bits and its recording are the channel's business.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.apdu import es10_codec as codec
from bench.apdu import es10_views as views
from bench.apdu.channel import CardAccess
from bench.apdu.errors import CardAnswerError
from bench.apdu.es10_answers import (
    Cancellation,
    DownloadPreparation,
    ServerAuthentication,
    changes_profile,
    nested_error,
)
from bench.apdu.es10_card import CardFunctions
from bench.apdu.es10_exchange import LOADING_DEADLINE, ORDINARY_DEADLINE, Now
from bench.apdu.es10_profiles import ProfileFunctions
from bench.apdu.store_data import DEFAULT_SEGMENT

__all__ = ["ISD_R_AID", "LOADING_DEADLINE", "ORDINARY_DEADLINE", "Es10", "Now"]

ISD_R_AID = bytes.fromhex("A0000005591010FFFFFFFF8900000100")


class Es10(CardFunctions, ProfileFunctions):
    """ISD-R behind an open logical channel.

    ``segment``: bytes of data in a STORE DATA block (255; 120 for modems with short lines). ``clock``: with it the
    deadline of the loading functions holds for the whole function, without it for each APDU. ``on_exchange(tag,
    request, answer)`` is called after every function that the card answered. ``old``: the card is of SGP.32 v1.0;
    requests and answers are those of v1.2 on this side (bench.rsp.dialect). ``emit``: wire forms other than the
    standard's that requests are written in, as other clients do (bench.rsp.forms).

    Every method raises CardGone and InstrumentTimeout of the channel, StatusWordError for a status word other than
    success, CardNeedsReset for a card that answers 6985 until it is reset, and CardAnswerError for an answer that
    cannot be read. Methods that return nothing but success raise Es10Error with the card's code otherwise.
    """

    @classmethod
    async def open(
        cls, card: CardAccess, *, segment: int = DEFAULT_SEGMENT, clock: Now | None = None, aid: bytes = ISD_R_AID
    ) -> Es10:
        """Open a channel to ISD-R. The caller closes it with ``close``. Raises NoSuchApplication."""
        return cls(await card.open_channel(aid), segment=segment, clock=clock)

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
