"""ES10 functions about the card itself: who it is, what it can do, its addresses, certificates and memory."""

from __future__ import annotations

from bench.apdu import es10_codec as codec
from bench.apdu import es10_info as info
from bench.apdu import es10_views as views
from bench.apdu.errors import CardAnswerError, Es10Error
from bench.apdu.es10_exchange import Es10Exchange
from bench.rsp import ids
from bench.rsp.errors import DecodeError


class CardFunctions(Es10Exchange):
    """Identity, capabilities, certificates, rules, addresses, memory reset. See ``Es10``."""

    async def eid(self) -> str:
        """GetEID: 32 digits (SGP.22 section 5.7.20)."""
        found = (await self._function(codec.GET_EID)).find(0x5A)
        if found is None:
            raise CardAnswerError("no EID in the answer", where="GetEID")
        try:
            return ids.eid_digits(found.value)
        except DecodeError as error:
            raise CardAnswerError(error.what, where="GetEID") from error

    @property
    def selection(self) -> info.IsdRSelection:
        """What the FCI of ISD-R says; nothing where the carrier hides it."""
        return info.isd_r_selection(self._channel.select_response)

    async def euicc_info1(self) -> bytes:
        """GetEuiccInfo1: the BF20 as it came (``es10_info.euicc_info1`` reads it)."""
        return (await self._function(codec.GET_EUICC_INFO1)).raw

    async def euicc_info2(self) -> bytes:
        """GetEuiccInfo2: the BF22 as it came (``es10_info.euicc_info2`` reads it)."""
        return (await self._function(codec.GET_EUICC_INFO2)).raw

    async def information(self) -> info.EuiccInfo2:
        """GetEuiccInfo2 with names (SGP.32 section 5.9.2)."""
        return info.euicc_info2(await self.euicc_info2())

    async def certificates(self, ci_key_id: bytes | None = None) -> views.Certificates:
        """GetCerts (SGP.32 section 5.9.10). Raises Es10Error with invalidCiPKId (1)."""
        return views.certificates(self._no_error(await self._function(codec.get_certs(ci_key_id)), 0x81))

    async def rules_authorisation_table(self) -> bytes:
        """GetRAT: the BF43 as it came (``es10_info.rules`` reads it)."""
        return (await self._function(codec.GET_RAT)).raw

    async def rules(self) -> tuple[info.AuthorisationRule, ...]:
        """GetRAT: the rules (SGP.22 section 5.7.22)."""
        return info.rules(await self.rules_authorisation_table())

    async def load_crl(self, crl: bytes) -> info.CrlLoading:
        """LoadCRL with a CertificateList as DER (SGP.22 section 5.7.12). Raises Es10Error with the card's code."""
        return info.crl_loading(self._no_error(await self._function(codec.load_crl(crl)), 0x81))

    async def connectivity_parameters(self) -> bytes:
        """GetConnectivityParameters: httpParams of the enabled profile (SGP.32 section 5.9.24), b'' when absent."""
        found = self._no_error(await self._function(codec.GET_CONNECTIVITY_PARAMETERS), 0x81)
        parameters = found.find(0xA0, 0x81)
        return parameters.value if parameters else b""

    async def connectivity(self) -> info.ConnectivityParameters | None:
        """GetConnectivityParameters with names, None when the profile has none (parametersNotAvailable)."""
        try:
            http = await self.connectivity_parameters()
        except Es10Error as error:
            if error.code == 1:
                return None
            raise
        return info.connectivity_parameters(http) if http else None

    async def configured_addresses(self) -> tuple[str, str]:
        """GetEuiccConfiguredAddresses: default SM-DP+ and root SM-DS address, empty where there is none."""
        found = await self._function(codec.GET_CONFIGURED_ADDRESSES)
        default, root = found.find(0x80), found.find(0x81)
        return views.text(default.value) if default else "", views.text(root.value) if root else ""

    async def set_default_dp_address(self, address: str, *, consumer: bool = False) -> None:
        """SetDefaultDpAddress (SGP.32 section 5.9.25; SGP.22 section 5.7.4 for a consumer eUICC)."""
        await self._result(codec.set_default_dp_address(address, consumer=consumer))

    async def memory_reset(self, options: int, *, consumer: bool = False) -> info.MemoryReset:
        """Call eUICCMemoryReset (SGP.32 section 5.9.5) with bits of ``codec.MemoryReset``; codes are in the answer.

        ``consumer``: BF34 with the options of SGP.22 section 5.7.19 (or, on a v1.0 IoT eUICC, of
        ``codec.MemoryResetV10``).
        """
        request = codec.memory_reset(options, consumer=consumer)
        return info.memory_reset(await self.call(request), 0xBF34 if consumer else 0xBF64)

    async def activate_ipae(self, *, activate: bool = True) -> None:
        """IpaeActivation (BF42). Raises Es10Error with notSupported (1)."""
        await self._result(codec.ipae_activation(activate=activate))
