"""Files of a UICC by name, what SELECT answers, and the contents that a person at a modem asks for.

File identifiers: ETSI TS 102 221 section 13, 3GPP TS 31.102, TS 31.103 and TS 51.011. A name depends on the directory:
6F07 is EF.IMSI in a USIM and EF.IST in an ISIM. Raises on no bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bench.trace.decode_values import aid, plmn, swapped
from bench.trace.tree import Field, generic, nodes, shown

_DIRECTORIES: Final = {
    "3F00": "MF",
    "7FFF": "current ADF",
    "7F10": "DF.TELECOM",
    "7F20": "DF.GSM",
    "7F21": "DF.DCS1800",
    "7F22": "DF.IS-41",
    "7F23": "DF.FP-CTS",
    "7F24": "DF.TIA/EIA-136",
    "7F25": "DF.TIA/EIA-95",
    "7F80": "DF.PDC",
    "5F3A": "DF.PHONEBOOK",
    "5F3B": "DF.GSM-ACCESS",
    "5F3C": "DF.MExE",
    "5F3D": "DF.MCS",
    "5F3E": "DF.V2X",
    "5F40": "DF.WLAN",
    "5F50": "DF.HNB",
    "5F70": "DF.SoLSA",
    "5F90": "DF.ProSe",
    "5FA0": "DF.ACDC",
    "5FB0": "DF.TV",
    "5FC0": "DF.5GS",
    "5FE0": "DF.SNPN",
}
_MASTER: Final = {
    "2F00": "EF.DIR",
    "2F05": "EF.PL",
    "2F06": "EF.ARR",
    "2F08": "EF.UMPC",
    "2FE2": "EF.ICCID",
}
_USIM: Final = {
    "6F05": "EF.LI",
    "6F06": "EF.ARR",
    "6F07": "EF.IMSI",
    "6F08": "EF.Keys",
    "6F09": "EF.KeysPS",
    "6F2C": "EF.DCK",
    "6F31": "EF.HPPLMN",
    "6F32": "EF.CNL",
    "6F37": "EF.ACMmax",
    "6F38": "EF.UST",
    "6F39": "EF.ACM",
    "6F3B": "EF.FDN",
    "6F3C": "EF.SMS",
    "6F3E": "EF.GID1",
    "6F3F": "EF.GID2",
    "6F40": "EF.MSISDN",
    "6F41": "EF.PUCT",
    "6F42": "EF.SMSP",
    "6F43": "EF.SMSS",
    "6F45": "EF.CBMI",
    "6F46": "EF.SPN",
    "6F47": "EF.SMSR",
    "6F48": "EF.CBMID",
    "6F49": "EF.SDN",
    "6F4B": "EF.EXT2",
    "6F4C": "EF.EXT3",
    "6F4D": "EF.BDN",
    "6F4E": "EF.EXT5",
    "6F4F": "EF.CCP2",
    "6F50": "EF.CBMIR",
    "6F55": "EF.EXT4",
    "6F56": "EF.EST",
    "6F57": "EF.ACL",
    "6F58": "EF.CMI",
    "6F5B": "EF.START-HFN",
    "6F5C": "EF.THRESHOLD",
    "6F60": "EF.PLMNwAcT",
    "6F61": "EF.OPLMNwAcT",
    "6F62": "EF.HPLMNwAcT",
    "6F73": "EF.PSLOCI",
    "6F78": "EF.ACC",
    "6F7B": "EF.FPLMN",
    "6F7E": "EF.LOCI",
    "6F80": "EF.ICI",
    "6F81": "EF.OCI",
    "6F82": "EF.ICT",
    "6F83": "EF.OCT",
    "6FAD": "EF.AD",
    "6FB1": "EF.VGCS",
    "6FB5": "EF.eMLPP",
    "6FB6": "EF.AAeM",
    "6FB7": "EF.ECC",
    "6FC3": "EF.Hiddenkey",
    "6FC4": "EF.NETPAR",
    "6FC5": "EF.PNN",
    "6FC6": "EF.OPL",
    "6FC7": "EF.MBDN",
    "6FC8": "EF.EXT6",
    "6FC9": "EF.MBI",
    "6FCA": "EF.MWIS",
    "6FCB": "EF.CFIS",
    "6FCC": "EF.EXT7",
    "6FCD": "EF.SPDI",
    "6FCE": "EF.MMSN",
    "6FD9": "EF.EHPLMN",
    "6FDA": "EF.GBANL",
    "6FDB": "EF.EHPLMNPI",
    "6FDC": "EF.LRPLMNSI",
    "6FDD": "EF.NAFKCA",
    "6FDE": "EF.SPNI",
    "6FDF": "EF.PNNI",
    "6FE2": "EF.NCP-IP",
    "6FE3": "EF.EPSLOCI",
    "6FE4": "EF.EPSNSC",
    "6FE6": "EF.UFC",
    "6FE7": "EF.UICCIARI",
    "6FE8": "EF.NASCONFIG",
    "6FEC": "EF.PWS",
    "6FED": "EF.FDNURI",
    "6FEE": "EF.BDNURI",
    "6FEF": "EF.SDNURI",
    "6FF0": "EF.IWL",
    "6FF1": "EF.IPS",
    "6FF2": "EF.IPD",
    "6FF3": "EF.ePDGId",
    "6FF4": "EF.ePDGSelection",
    "6FF7": "EF.FromPreferred",
    "6FF8": "EF.IMSConfigData",
    "6FF9": "EF.3GPPPSDATAOFF",
    "6FFC": "EF.XCAPConfigData",
    "6FFD": "EF.EARFCNList",
    "6FFE": "EF.MuDMiDConfigData",
}
_ISIM: Final = {
    "6F02": "EF.IMPI",
    "6F03": "EF.DOMAIN",
    "6F04": "EF.IMPU",
    "6F06": "EF.ARR",
    "6F07": "EF.IST",
    "6F09": "EF.P-CSCF",
    "6FAD": "EF.AD",
    "6FD5": "EF.GBABP",
    "6FD7": "EF.GBANL",
    "6FDD": "EF.NAFKCA",
    "6FE7": "EF.UICCIARI",
}
_TELECOM: Final = {
    "6F06": "EF.ARR",
    "6F3A": "EF.ADN",
    "6F3B": "EF.FDN",
    "6F3C": "EF.SMS",
    "6F40": "EF.MSISDN",
    "6F42": "EF.SMSP",
    "6F43": "EF.SMSS",
    "6F44": "EF.LND",
    "6F49": "EF.SDN",
    "6F4A": "EF.EXT1",
    "6F4B": "EF.EXT2",
    "6F53": "EF.RMA",
    "6F54": "EF.SUME",
    "6FE0": "EF.ICE-DN",
    "6FE1": "EF.ICE-FF",
    "6FE5": "EF.PSISMSC",
}
_GSM: Final = {
    "6F05": "EF.LP",
    "6F07": "EF.IMSI",
    "6F20": "EF.Kc",
    "6F30": "EF.PLMNsel",
    "6F31": "EF.HPPLMN",
    "6F38": "EF.SST",
    "6F46": "EF.SPN",
    "6F52": "EF.KcGPRS",
    "6F53": "EF.LOCIGPRS",
    "6F74": "EF.BCCH",
    "6F78": "EF.ACC",
    "6F7B": "EF.FPLMN",
    "6F7E": "EF.LOCI",
    "6FAD": "EF.AD",
    "6FAE": "EF.Phase",
}
_FIVE_G: Final = {
    "4F01": "EF.5GS3GPPLOCI",
    "4F02": "EF.5GSN3GPPLOCI",
    "4F03": "EF.5GS3GPPNSC",
    "4F04": "EF.5GSN3GPPNSC",
    "4F05": "EF.5GAUTHKEYS",
    "4F06": "EF.UAC_AIC",
    "4F07": "EF.SUCI_Calc_Info",
    "4F08": "EF.OPL5G",
    "4F09": "EF.SUPI_NAI",
    "4F0A": "EF.Routing_Indicator",
    "4F0B": "EF.URSP",
    "4F0C": "EF.TN3GPPSNN",
    "4F0D": "EF.CAG",
    "4F0E": "EF.SOR-CMCI",
    "4F0F": "EF.DRI",
    "4F10": "EF.5GSEDRX",
    "4F11": "EF.5GNSWO_CONF",
}
_GSM_ACCESS: Final = {"4F20": "EF.Kc", "4F52": "EF.KcGPRS", "4F63": "EF.CPBCCH", "4F64": "EF.InvScan"}
_WITHIN: Final = {
    "MF": _MASTER,
    "USIM": _USIM,
    "ISIM": _ISIM,
    "DF.TELECOM": _TELECOM,
    "DF.GSM": _GSM,
    "DF.DCS1800": _GSM,
    "DF.5GS": _FIVE_G,
    "DF.GSM-ACCESS": _GSM_ACCESS,
    "current ADF": _USIM,
}
_SHORT: Final = {
    "MF": {0x02: "EF.ICCID", 0x05: "EF.PL", 0x06: "EF.ARR", 0x1E: "EF.DIR"},
    "USIM": {
        0x01: "EF.ECC",
        0x02: "EF.LI",
        0x03: "EF.AD",
        0x04: "EF.UST",
        0x05: "EF.EST",
        0x06: "EF.ACC",
        0x07: "EF.IMSI",
        0x08: "EF.Keys",
        0x09: "EF.KeysPS",
        0x0A: "EF.PLMNwAcT",
        0x0B: "EF.LOCI",
        0x0C: "EF.PSLOCI",
        0x0D: "EF.FPLMN",
        0x0E: "EF.CBMID",
        0x0F: "EF.START-HFN",
        0x11: "EF.OPLMNwAcT",
        0x12: "EF.HPPLMN",
        0x13: "EF.HPLMNwAcT",
        0x14: "EF.ICI",
        0x15: "EF.OCI",
        0x16: "EF.CCP2",
        0x17: "EF.ARR",
        0x18: "EF.EPSNSC",
        0x1E: "EF.EPSLOCI",
    },
}
"""Short file identifiers (TS 31.102 annex H, ETSI TS 102 221 section 13)."""
_SECRET: Final = frozenset(
    ("EF.Keys", "EF.KeysPS", "EF.Kc", "EF.KcGPRS", "EF.EPSNSC", "EF.5GS3GPPNSC", "EF.5GSN3GPPNSC", "EF.5GAUTHKEYS")
)
"""Files that hold session keys: their contents are never shown."""


def name(identifier: str, directory: str = "") -> str:
    """Return the name of a file by its identifier (four hexadecimal digits) in a directory named by this module.

    Without a directory, or in one that is not known, the most usual name; the identifier itself where there is none.
    """
    identifier = identifier.upper()
    if identifier in _DIRECTORIES:
        return _DIRECTORIES[identifier]
    for table in (_WITHIN.get(directory, {}), _MASTER, _USIM if not identifier.startswith("4F") else _FIVE_G, _GSM):
        if identifier in table:
            return table[identifier]
    return identifier


def short_name(short: int, directory: str = "") -> str:
    """Return the name of a file by its short file identifier, ``SFI 0B`` where it has none."""
    known = _SHORT["MF" if directory == "MF" else "USIM"].get(short)
    return known if known and directory in ("", "MF", "USIM", "current ADF") else f"SFI {short:02X}"


def is_directory(file: str) -> bool:
    """Return whether a name of this module is that of a directory or an application."""
    return not file.startswith("EF.") and not file.startswith("SFI ")


_TEMPLATE: Final = {
    0x80: "fileSize",
    0x81: "totalFileSize",
    0x82: "fileDescriptor",
    0x83: "fileIdentifier",
    0x84: "dfName",
    0x88: "shortFileIdentifier",
    0x8A: "lifeCycleStatus",
    0x8B: "securityAttributesReferenced",
    0x8C: "securityAttributesCompact",
    0xA5: "proprietaryInformation",
    0xAB: "securityAttributesExpanded",
    0xC6: "pinStatus",
}
_LIFE_CYCLE: Final = {0: "no information", 1: "creation", 3: "initialisation", 4: "deactivated", 5: "activated"}
_STRUCTURES: Final = {0: "no information", 1: "transparent", 2: "linear fixed", 6: "cyclic", 0x39: "BER-TLV"}


def _descriptor(value: bytes) -> str:
    if not value:
        return ""
    if value[0] & 0x38 == 0x38 and value[0] & 7 != 1:
        return "DF or ADF"
    structure = "BER-TLV" if value[0] & 0x3F == 0x39 else _STRUCTURES.get(value[0] & 7, f"{value[0]:02X}")
    if len(value) >= 5:
        return f"{structure}, {value[4]} records of {int.from_bytes(value[2:4], 'big')} bytes"
    return structure


def _life_cycle(value: bytes) -> str:
    if len(value) != 1:
        return shown(value)
    if value[0] >= 0x0C:
        return "terminated"
    return _LIFE_CYCLE.get(value[0] if value[0] < 4 else 4 + (value[0] & 1), f"{value[0]:02X}")


def template(data: bytes) -> list[Field]:
    """Return the FCP (62) or FCI (6F) that SELECT and STATUS answer, named (ETSI TS 102 221 section 11.1.1.3)."""
    found = nodes(data)[0]
    if len(found) != 1 or found[0].tag not in (0x62, 0x6F):
        return generic(data)
    fields = []
    for node in nodes(found[0].value)[0]:
        label = _TEMPLATE.get(node.tag, f"{node.tag:X}")
        made = Field(label, shown(node.value), node.value)
        if node.tag == 0x82:
            made.text = _descriptor(node.value)
        elif node.tag == 0x83:
            made.text = f"{node.value.hex().upper()} {name(node.value.hex())}"
        elif node.tag == 0x84:
            made.text = aid(node.value)
        elif node.tag in (0x80, 0x81):
            made.text = str(int.from_bytes(node.value[:8], "big"))
        elif node.tag == 0x88 and len(node.value) == 1:
            made.text = f"{node.value[0] >> 3:02X}"
        elif node.tag == 0x8A:
            made.text = _life_cycle(node.value)
        elif node.tag in (0xE0, 0xE1):
            made = _isd_r(node.tag, node.value)
        elif node.constructed:
            made = Field(label, "", node.value, generic(node.value))
        fields.append(made)
    return [Field("FCI" if found[0].tag == 0x6F else "FCP", "", data, fields)]


def _isd_r(tag: int, value: bytes) -> Field:
    from bench.trace.decode_asn1 import SGP22, SGP32, read

    kind, module = (
        ("ISDRProprietaryApplicationTemplate", SGP22)
        if tag == 0xE0
        else ("ISDRProprietaryApplicationTemplateIoT", SGP32)
    )
    size = bytes((len(value),)) if len(value) < 128 else b"\x82" + len(value).to_bytes(2, "big")
    return read(kind, bytes((tag,)) + size + value, module=module)


_ACCESS: Final = (
    (0x8000, "UTRAN"),
    (0x4000, "E-UTRAN"),
    (0x0800, "NG-RAN"),
    (0x0400, "satellite NG-RAN"),
    (0x0080, "GSM"),
    (0x0040, "GSM COMPACT"),
)
_EPS_STATUS: Final = {0: "updated", 1: "not updated", 2: "roaming not allowed"}


def _with_access(data: bytes) -> str:
    told = []
    for at in range(0, len(data) - 4, 5):
        if data[at : at + 3] == b"\xff\xff\xff":
            continue
        bits = data[at + 3] << 8 | data[at + 4]
        access = "+".join(text for bit, text in _ACCESS if bits & bit) or f"{bits:04X}"
        told.append(f"{plmn(data[at : at + 3])} {access}")
    return ", ".join(told) or "empty"


def _plmns(data: bytes) -> str:
    entries = [plmn(data[at : at + 3]) for at in range(0, len(data) - 2, 3)]
    return ", ".join(entry for entry in entries if entry != "-") or "empty"


def _imsi(data: bytes) -> str:
    return swapped(data[1 : 1 + data[0]])[1:] if data else ""


def _loci(data: bytes) -> str:
    if len(data) < 11:
        return shown(data)
    return f"LAI {plmn(data[4:7])} {data[7:9].hex().upper()}, {_EPS_STATUS.get(data[10] & 7, f'{data[10]:02X}')}"


def _eps_loci(data: bytes) -> str:
    if len(data) < 18:
        return shown(data)
    return f"TAI {plmn(data[12:15])} {data[15:17].hex().upper()}, {_EPS_STATUS.get(data[17] & 7, f'{data[17]:02X}')}"


def _administrative(data: bytes) -> str:
    mode = {0x00: "normal", 0x01: "cell test", 0x02: "MS test", 0x80: "type approval"}
    told = mode.get(data[0], f"mode {data[0]:02X}") if data else ""
    return told + (f", MNC of {data[3] & 15} digits" if len(data) > 3 else "")


def _alphabet(data: bytes) -> str:
    return data.rstrip(b"\xff").decode("latin-1")


def _directory_record(data: bytes) -> str:
    found = nodes(data)[0]
    parts = nodes(found[0].value)[0] if found and found[0].tag == 0x61 else []
    return ", ".join(
        aid(part.value) if part.tag == 0x4F else part.value.decode("latin-1") if part.tag == 0x50 else f"{part.tag:X}"
        for part in parts
    ) or ("empty" if not data.strip(b"\xff") else shown(data))


_CONTENTS: Final[dict[str, Callable[[bytes], str]]] = {
    "EF.ICCID": swapped,
    "EF.IMSI": _imsi,
    "EF.FPLMN": _plmns,
    "EF.EHPLMN": _plmns,
    "EF.PLMNsel": _plmns,
    "EF.PLMNwAcT": _with_access,
    "EF.OPLMNwAcT": _with_access,
    "EF.HPLMNwAcT": _with_access,
    "EF.LOCI": _loci,
    "EF.EPSLOCI": _eps_loci,
    "EF.AD": _administrative,
    "EF.SPN": lambda data: _alphabet(data[1:]),
    "EF.LI": _alphabet,
    "EF.PL": _alphabet,
    "EF.DIR": _directory_record,
}


def contents(file: str, data: bytes, *, offset: int = 0) -> Field:
    """Return what was read from or written to a file; session keys are hidden. ``offset``: of the first byte."""
    if file in _SECRET:
        return Field("contents", f"{len(data)} bytes, hidden: session keys", b"")
    reader = _CONTENTS.get(file)
    text = reader(data) if reader is not None and offset == 0 and data else shown(data)
    return Field("contents", text if text.isprintable() else shown(data), data)
