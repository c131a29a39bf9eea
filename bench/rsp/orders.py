"""What an eIM can order in an eUICC Package: PSMOs and eCOs as bytes (SGP.32 sections 2.11.1.1.2 and 2.11.1.1.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bench.rsp import codec, ids, tlv
from bench.rsp.tlv import build


def enable(iccid: str | bytes, rollback: bool = False) -> bytes:
    """Return the PSMO enable; ``rollback`` authorises the IPA to go back (SGP.32 section 3.3.2)."""
    return build(0xA3, build(0x5A, ids.iccid_bytes(iccid)), *([b"\x05\x00"] if rollback else []))


def disable(iccid: str | bytes) -> bytes:
    """Return the PSMO disable."""
    return build(0xA4, build(0x5A, ids.iccid_bytes(iccid)))


def delete(iccid: str | bytes) -> bytes:
    """Return the PSMO delete."""
    return build(0xA5, build(0x5A, ids.iccid_bytes(iccid)))


def list_profile_info(tags: Iterable[int] | bytes | None = None, *, iccid: str | bytes | None = None) -> bytes:
    """Return the PSMO listProfileInfo; ``tags`` of ProfileInfo (0x5A, 0x9F70, ...), None for the eUICC's default."""
    fields = [] if iccid is None else [build(0xA0, build(0x5A, ids.iccid_bytes(iccid)))]
    if tags is not None:
        tag_list = tags if isinstance(tags, bytes) else b"".join(tlv.tag_bytes(tag) for tag in tags)
        fields.append(build(0x5C, tag_list))
    return build(0xBF2D, *fields)


def get_rat() -> bytes:
    """Return the PSMO getRAT."""
    return b"\xa6\x00"


def configure_immediate_enable(*, flag: bool, smdp_oid: str | None = None, smdp_address: str | None = None) -> bytes:
    """Return the PSMO configureImmediateEnable; without ``flag`` it switches immediate enabling off."""
    value: dict[str, Any] = {"immediateEnableFlag": None} if flag else {}
    if smdp_oid is not None:
        value["defaultSmdpOid"] = smdp_oid
    if smdp_address is not None:
        value["defaultSmdpAddress"] = smdp_address
    return codec.encode("Psmo", ("configureImmediateEnable", value))


def set_fallback_attribute(iccid: str | bytes) -> bytes:
    """Return the PSMO setFallbackAttribute."""
    return build(0xA8, build(0x5A, ids.iccid_bytes(iccid)))


def unset_fallback_attribute() -> bytes:
    """Return the PSMO unsetFallbackAttribute."""
    return b"\xa9\x00"


def set_default_dp_address(address: str) -> bytes:
    """Return the PSMO setDefaultDpAddress; an empty address removes it."""
    return build(0xBF65, build(0x80, address.encode()))


def add_eim(configuration: bytes | Mapping[str, Any]) -> bytes:
    """Return the eCO addEim for EimConfigurationData (DER with tag 30, or its value)."""
    return tlv.retag(_configuration(configuration), 0xA8)


def update_eim(configuration: bytes | Mapping[str, Any]) -> bytes:
    """Return the eCO updateEim for EimConfigurationData (DER with tag 30, or its value)."""
    return tlv.retag(_configuration(configuration), 0xAA)


def delete_eim(eim_id: str) -> bytes:
    """Return the eCO deleteEim."""
    return build(0xA9, build(0x80, eim_id.encode()))


def list_eim() -> bytes:
    """Return the eCO listEim."""
    return b"\xab\x00"


def _configuration(configuration: bytes | Mapping[str, Any]) -> bytes:
    return configuration if isinstance(configuration, bytes) else codec.encode("EimConfigurationData", configuration)
