"""The drivers of families, one entry point each: AtModem that refuses a modem of another family in words."""

from __future__ import annotations

from instruments.modem.modem import AtModem


class QuectelBg9x(AtModem):
    """Quectel BG95, BG96, BG77, BG600L."""

    family = "quectel-bg9x"


class QuectelEg(AtModem):
    """Quectel EC2x, EG2x, EG9x, EM06 and other LTE modems."""

    family = "quectel-eg"


class QuectelRg(AtModem):
    """Quectel RG50x, RM5xx (5G)."""

    family = "quectel-rg"


class UbloxSaraR4(AtModem):
    """u-blox SARA-R4 and other u-blox modems."""

    family = "u-blox-sara-r4"


class UbloxSaraR5(AtModem):
    """u-blox SARA-R5."""

    family = "u-blox-sara-r5"


class TelitLe910(AtModem):
    """Telit LE910 and other LTE modems."""

    family = "telit-le910"


class TelitMe910(AtModem):
    """Telit ME910 and ME310."""

    family = "telit-me910"


class SimcomSim7000(AtModem):
    """SIMCom SIM7000, SIM7070, SIM7080, SIM7090."""

    family = "simcom-sim7000"


class SimcomSim7600(AtModem):
    """SIMCom SIM7500, SIM7600 and other LTE modems."""

    family = "simcom-sim7600"


class NordicNrf91(AtModem):
    """Nordic nRF9160, nRF9161, nRF9151."""

    family = "nordic-nrf91"


class SierraHl78(AtModem):
    """Sierra Wireless HL78xx."""

    family = "sierra-hl78"


class SierraEm(AtModem):
    """Sierra Wireless EM and MC modems."""

    family = "sierra-em"


class Fibocom(AtModem):
    """Fibocom L8xx, FG1xx, FM1xx, FM350."""

    family = "fibocom"
