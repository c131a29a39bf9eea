"""ES10 functions that list, switch and delete profiles: ES10c of SGP.22 and the switching functions of SGP.32.

``refresh`` is the refreshFlag: with it the card issues REFRESH and switches with its TERMINAL RESPONSE, without it the
switch is done at once and whoever holds the card resets it (SGP.22 section 5.7.16).
"""

from __future__ import annotations

from bench.apdu import es10_codec as codec
from bench.apdu import es10_views as views
from bench.apdu.errors import CardAnswerError
from bench.apdu.es10_answers import Rollback
from bench.apdu.es10_exchange import Es10Exchange
from bench.apdu.es10_results import result_name


class ProfileFunctions(Es10Exchange):
    """The profiles on the card. See ``Es10``."""

    async def profiles(
        self,
        *,
        iccid: str | None = None,
        aid: bytes | None = None,
        profile_class: int | None = None,
        tags: bytes | None = None,
    ) -> tuple[views.Profile, ...]:
        """GetProfilesInfo (SGP.22 section 5.7.15, SGP.32 section 5.9.14). Raises Es10Error with the card's code."""
        request = codec.get_profiles_info(iccid=iccid, aid=aid, profile_class=profile_class, tags=tags)
        return views.profiles(self._no_error(await self._function(request), 0x81))

    # --- SGP.32 ---------------------------------------------------------------------------------------------------

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

    async def configure_immediate_enable(
        self, *, flag: bool, smdp_oid: bytes | None = None, smdp_address: str | None = None
    ) -> None:
        """ConfigureImmediateProfileEnabling (SGP.32 section 5.9.17); refused while an eIM is associated.

        ``smdp_oid``: content bytes of the OBJECT IDENTIFIER.
        """
        await self._result(codec.configure_immediate_enable(flag=flag, smdp_oid=smdp_oid, smdp_address=smdp_address))

    async def execute_fallback(self, *, refresh: bool) -> None:
        """ExecuteFallbackMechanism (SGP.32 section 5.9.20)."""
        await self._switch(codec.with_refresh_flag(0xBF5D, refresh))

    async def return_from_fallback(self, *, refresh: bool) -> None:
        """ReturnFromFallback (SGP.32 section 5.9.21)."""
        await self._switch(codec.with_refresh_flag(0xBF5E, refresh))

    async def enable_emergency_profile(self, *, refresh: bool) -> None:
        """EnableEmergencyProfile (SGP.32 section 5.9.22)."""
        await self._switch(codec.with_refresh_flag(0xBF5B, refresh))

    async def disable_emergency_profile(self, *, refresh: bool) -> None:
        """DisableEmergencyProfile (SGP.32 section 5.9.23)."""
        await self._switch(codec.with_refresh_flag(0xBF5C, refresh))

    # --- ES10c, consumer eUICCs -----------------------------------------------------------------------------------

    async def enable_profile(self, profile: str | bytes, *, refresh: bool) -> None:
        """EnableProfile (SGP.22 section 5.7.16). ``profile``: ICCID digits, or the ISD-P's AID as bytes."""
        await self._switch(codec.profile_command(0xBF31, profile, refresh))

    async def disable_profile(self, profile: str | bytes, *, refresh: bool) -> None:
        """DisableProfile (SGP.22 section 5.7.17)."""
        await self._switch(codec.profile_command(0xBF32, profile, refresh))

    async def delete_profile(self, profile: str | bytes) -> None:
        """DeleteProfile (SGP.22 section 5.7.18)."""
        await self._result(codec.delete_profile(profile))

    async def set_nickname(self, iccid: str, nickname: str) -> None:
        """SetNickname (SGP.22 section 5.7.21); at most 64 bytes of UTF-8. Raises ValueError for more."""
        await self._result(codec.set_nickname(iccid, nickname))
