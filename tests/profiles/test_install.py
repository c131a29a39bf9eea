"""Installation: result codes literally, what fills a file, links, access rules, PINs, the IoT element."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.rsp import ids, tlv
from bench.rsp.tlv import build
from fixtures.profiles import InstallError, Package, Status, find, install
from fixtures.profiles.access import allowed, allowed_instruction
from fixtures.profiles.aka import DEFAULT_DELTA, Algorithm
from fixtures.profiles.files import Df, Ef
from fixtures.profiles.image import Image
from fixtures.profiles.status import sima_response
from fixtures.profiles.templates import RULES, Structure, oid

from . import samples


def elements() -> list[bytes]:
    return [element.raw for element in Package.parse(samples.operational()).elements]


def head(number: int, *, mandated: bool = True) -> bytes:
    return build(0xA0, build(0x80) if mandated else b"", build(0x81, bytes((number,))))


def gfm(*commands: bytes, number: int = 20) -> bytes:
    return build(0xA1, head(number), build(0xA1, build(0x30, *commands)))


def with_elements(*extra: bytes) -> bytes:
    """The operational package with elements before its end."""
    parts = elements()
    return b"".join([*parts[:-1], *extra, parts[-1]])


def fcp(tag: int, *members: str) -> bytes:
    return build(tag, *(bytes.fromhex(member) for member in members))


def content(image: Image, path: str) -> str:
    ef = image.ef(path)
    assert ef is not None, path
    return ef.content.hex()


def refused(package: bytes) -> tuple[Status, int | None, str]:
    with pytest.raises(InstallError) as caught:
        install(package)
    return caught.value.status, caught.value.identification, caught.value.response().hex()


def test_literal_euicc_responses() -> None:
    assert sima_response([(0, None, None)]).hex() == "3007a0053003800100"
    bad = InstallError(Status.BAD_VALUES, "EF.IMSI", 4).response()
    assert bad.hex() == "3015a00830068001038101048100820745462e494d5349"
    assert sima_response([(4, 5, None)], aborted=True).hex() == "300ca00830068001048101058100"
    assert sima_response([(9, 5, None)]).hex() == "300aa0083006800109810105"
    assert sima_response([(0x6985, 5, None)], aborted=True).hex() == "300da0093007800269858101058100"


def test_header_results() -> None:
    header, *rest = elements()
    tail = b"".join(rest)

    def changed(old: str, new: str) -> bytes:
        assert old in header.hex()
        body = bytes.fromhex(header.hex().replace(old, new)[4:])
        return build(0xA0, body) + tail

    assert refused(changed("800102", "800104"))[0] is Status.UNSUPPORTED_PROFILE_VERSION
    assert refused(changed("a50481008400", "a50481008600"))[0] is Status.FEATURE_NOT_SUPPORTED  # cave
    assert refused(changed("a50481008400", "a50481008c00"))[0] is Status.RUNTIME_NOT_SUPPORTED  # multos
    assert refused(changed("060667810f010205", "060667810f010213"))[0] is Status.TEMPLATE_NOT_SUPPORTED
    library = build(0xA8, build(0x30, build(0x80, bytes(5)), build(0x81, b"\x01\x00")))
    assert refused(build(0xA0, tlv.first(header).value, library) + tail)[0] is Status.LIB_NOT_SUPPORTED
    assert refused(tail)[0] is Status.INVALID_REQUEST_FORMAT
    assert refused(b"".join(elements()[:-1]))[0] is Status.INVALID_REQUEST_FORMAT


def test_element_results() -> None:
    unknown = build(0xAB, head(20))
    assert refused(with_elements(unknown))[:2] == (Status.PE_NOT_SUPPORTED, 20)
    optional = build(0xAB, head(20, mandated=False))
    assert install(with_elements(optional)).response.hex() == "3012a010300680010181011430068001008101" + "09"
    assert refused(with_elements(build(0xA9, head(4))))[:2] == (Status.BAD_VALUES, 4)
    assert refused(with_elements(build(0xA9)))[0] is Status.INVALID_REQUEST_FORMAT
    no_opt = [raw for raw in elements() if raw[0] != 0xB3]
    assert refused(b"".join(no_opt))[:2] == (Status.INVALID_REQUEST_FORMAT, 5)
    unknown_template = build(0xB2, head(20), build(0x81, oid("99")))
    assert refused(with_elements(unknown_template))[:2] == (Status.TEMPLATE_NOT_SUPPORTED, 20)
    no_pins = [raw for raw in elements() if raw[0] != 0xA2]
    assert refused(b"".join(no_pins))[0] is Status.PIN_CODE_MISSING
    no_puks = [raw for raw in elements() if raw[0] != 0xA3]
    assert refused(b"".join(no_puks))[0] is Status.INVALID_PARAMETER
    second_mf = with_elements(bytes.fromhex(elements()[1].hex().replace("800081" + "0101", "800081" + "0114")))
    assert refused(second_mf)[0] in (Status.INVALID_REQUEST_FORMAT, Status.BAD_VALUES)
    with pytest.raises(InstallError) as caught:
        install(samples.operational(), memory=500)
    assert caught.value.status is Status.NOT_ENOUGH_MEMORY
    assert install(samples.operational(), memory=100_000)
    with pytest.raises(InstallError) as caught:
        install(samples.operational(), services=frozenset(("usim",)))
    assert caught.value.status is Status.FEATURE_NOT_SUPPORTED


def aka_package(*members: bytes, options: tuple[bytes, ...] = ()) -> bytes:
    parts = elements()
    index = next(i for i, raw in enumerate(parts) if raw[0] == 0xA4)
    parts[index] = build(0xA4, head(7), build(0xA1, build(0xA1, *members)), *options)
    return b"".join(parts)


def test_keys() -> None:
    k, opc = build(0x82, samples.K), build(0x83, samples.OPC)
    milenage, xor, tuak = (build(0x80, bytes((number,))) for number in (1, 3, 2))
    zero = build(0x81, b"\x00")
    assert refused(aka_package(milenage, zero, build(0x82, bytes(15)), opc))[:2] == (Status.INVALID_PARAMETER, 7)
    assert refused(aka_package(milenage, zero, k))[:2] == (Status.INVALID_PARAMETER, 7)
    assert refused(aka_package(tuak, zero, k, opc))[:2] == (Status.INVALID_PARAMETER, 7)  # TOPc has 32 bytes
    topc = build(0x83, bytes(range(32)))
    assert refused(aka_package(tuak, zero, k, topc, build(0x87, b"\x00")))[:2] == (Status.INVALID_PARAMETER, 7)
    twice = find(aka_package(tuak, build(0x81, b"\x02"), build(0x82, bytes(32)), topc, build(0x87, b"\x02")))
    assert (twice.algorithm, twice.k, twice.opc, twice.keys.iterations, twice.keys.res_length) == (
        Algorithm.TUAK, bytes(32), bytes(range(32)), 2, 16,
    )  # fmt: skip
    assert refused(aka_package(build(0x80, b"\x09"), zero, k, opc))[:2] == (Status.INVALID_PARAMETER, 7)
    assert refused(aka_package(milenage, zero, k, opc, build(0x84, b"\x40")))[:2] == (Status.INVALID_PARAMETER, 7)
    assert find(aka_package(xor, zero, k)).algorithm is Algorithm.XOR
    constants = build(0x85, bytes(range(80)))
    found = find(aka_package(milenage, zero, k, opc, build(0x84, bytes.fromhex("4000204061")), constants)).keys
    assert found.rotations == (64, 0, 32, 64, 97)
    assert found.constants[4] == bytes(range(64, 80))
    assert found.delta == DEFAULT_DELTA
    first = build(0xA5, *(build(0x04, (7 + n).to_bytes(6, "big")) for n in range(32)))
    narrow = (build(0x83, bytes.fromhex("000000000010")), first)
    keys = find(aka_package(milenage, zero, k, opc, options=narrow)).keys
    assert (keys.delta, keys.sqn[0], keys.sqn[31]) == (16, 7, 38)
    assert keys.aka().sqn[31] == 38
    assert refused(aka_package(milenage, zero, k, opc, options=(build(0xA5, build(0x04, bytes(6))),)))[0] is (
        Status.INVALID_REQUEST_FORMAT
    )
    assert samples.K.hex() not in repr(keys)


FILE = "82024121"


@pytest.mark.parametrize(
    ("pattern", "size", "writes", "expected"),
    [
        ("", 4, [], "ffffffff"),
        ("C10102", 4, [], "02020202"),
        ("C1020102", 5, [], "0102020202"),
        ("C2020102", 5, [], "0102010201"),
        ("C10100", 5, [(0, "aabb")], "aabb000000"),
        ("C10100", 5, [(1, "aa"), (1, "bb")], "00aa00bb00"),  # offsets are relative
        ("C10100", 3, [(0, "aabbcc")], "aabbcc"),
    ],
)
def test_filling_of_a_file(pattern: str, size: int, writes: list[tuple[int, str]], expected: str) -> None:
    commands = [
        build(0x80),
        fcp(0x62, FILE, "83022FFA", "8B032F0601", f"8001{size:02x}", build(0xA5, bytes.fromhex(pattern)).hex()),
    ]
    for skip, data in writes:
        if skip:
            commands.append(build(0x02, bytes((skip,))))
        commands.append(build(0x81, bytes.fromhex(data)))
    image = install(with_elements(gfm(*commands))).image
    assert content(image, "2FFA") == expected


def test_filling_of_records_and_directories() -> None:
    commands = (
        build(0x80),
        fcp(0x62, "82044221" + "0003", "83022FFB", "8B032F0601", "800109", "A504C1020102"),
        build(0x81, b"\xaa"),
        fcp(0x62, "82027821", "83027F66", "8B032F0601", "C602010A"),
        build(0x80, bytes.fromhex("7f66")),
        fcp(0x62, "82027821", "83025F40", "8B032F0601", "C602010A"),
        build(0x80, bytes.fromhex("7f665f40")),
        fcp(0x62, "82044621" + "0002", "83024F40", "8B036F0601", "800104", "8801" + "08"),
        fcp(0x62, "82027921", "83024F41", "8B036F0601"),
    )
    image = install(with_elements(gfm(*commands))).image
    assert content(image, "2FFB") == "aa0202" + "010202" * 2
    cyclic = image.ef("7F66/5F40/4F40")
    assert cyclic is not None
    assert (cyclic.structure, cyclic.records, cyclic.sfi) == (Structure.CYCLIC, 2, 1)
    tree = image.ef("7F66/5F40/4F41")
    assert tree is not None
    assert tree.structure is Structure.BER_TLV


@pytest.mark.parametrize(
    "commands",
    [
        (fcp(0x62, FILE, "83022FFA", "8B032F0601", "800101"), build(0x81, b"ab")),  # overfull
        (fcp(0x62, FILE, "83022FE2", "8B032F0601", "800101"),),  # exists
        (fcp(0x62, FILE, "83022FFA", "8B032F0601"),),  # no size
        (fcp(0x62, FILE, "8B032F0601", "800101"),),  # no identifier
        (fcp(0x62, "8204422100" + "03", "83022FFA", "8B032F0601", "800104"),),  # records do not fit
        (build(0x80, bytes.fromhex("7f77")),),  # no such directory
        (fcp(0x62, FILE, "83022FFA", "C7022FF9", "800101"),),  # link to nothing
        (fcp(0x62, "8202FF21", "83022FFA", "8B032F0601", "800101"),),  # no structure
    ],
)
def test_files_that_contradict_themselves(commands: tuple[bytes, ...]) -> None:
    assert refused(with_elements(gfm(build(0x80), *commands)))[:2] == (Status.BAD_VALUES, 20)


@pytest.mark.parametrize("commands", [(build(0x81, b"a"),), (build(0x85),), (build(0x02),)])
def test_file_management_that_cannot_be_read(commands: tuple[bytes, ...]) -> None:
    assert refused(with_elements(gfm(*commands)))[:2] == (Status.INVALID_REQUEST_FORMAT, 20)


def test_a_link_is_the_file_it_leads_to() -> None:
    image = install(with_elements(gfm(build(0x80), fcp(0x62, FILE, "83022FFA", "8801E8", "C7047FD06F07")))).image
    link, file = image.mf.files[0x2FFA], image.ef("7FD0/6F07")
    assert isinstance(link, Ef) and file is not None
    # the same content under another identifier and another short one
    assert (link.path, link.content, link.rule) == (file.path, file.content, file.rule)
    assert (link.fid, link.sfi, file.fid, file.sfi) == (0x2FFA, 0x1D, 0x6F07, 7)


def test_template_defaults_of_files_that_are_not_listed() -> None:
    image = install(samples.operational()).image
    expected = {
        "7FD0/6F7B": "ff" * 12,
        "7FD0/6F7E": "ffffffffffffff0000ff01",
        "7FD0/6F73": "ff" * 10 + "0000ff01",
        "7FD0/6FE3": "ff" * 15 + "000001",
        "7FD0/6F5B": "f00000f00000",
        "7FD0/6F08": "07" + "ff" * 32,
        "7FD0/6F60": "ffffff0000" * 8,
        "7FD0/6F31": "0a",
        "2F05": "ffff",
    }
    for path, value in expected.items():
        assert content(image, path) == value, path
    sfis = {"6FAD": 3, "6F38": 4, "6F78": 6, "6F07": 7, "6F7E": 11, "6F7B": 13, "6FE3": 30, "6FB7": 1}
    for fid, sfi in sfis.items():
        ef = image.ef(f"7FD0/{fid}")
        assert ef is not None
        assert ef.sfi == sfi
    # of a template that is not created by default only what is listed
    assert image.ef("7FD0/6F3E") is None
    assert image.ef("7FD0/6F40") is not None


def test_pins_after_a_df_of_the_application_are_the_application_s() -> None:
    parts = elements()
    local = next(i for i, raw in enumerate(parts) if raw[0] == 0xA2 and "80020081" in raw.hex())
    parts.insert(local, element(0xBC, 30, "13.2", build(0xA2), build(0xAC)))
    image = install(b"".join(parts)).image
    usim = image.files["7FD0"]
    assert isinstance(usim, Df)
    found = image.pin(usim, 0x81)
    assert found is not None
    assert found.scope == "7FD0"


def test_shared_pins_and_mapped_keys() -> None:
    shared = build(0xA2, head(21), build(0xA1, build(0x81, bytes.fromhex("7fd0"))))
    sub = gfm(
        build(0x80, bytes.fromhex("7fd0")),
        fcp(0x62, "82027821", "83025F70", "8B036F0601", "C60181"),
    )
    image = install(with_elements(sub, shared)).image
    directory = image.files["7FD0/5F70"]
    assert isinstance(directory, Df)
    pin = image.pin(directory, 0x81)
    assert pin is not None
    assert pin.value == b"9999\xff\xff\xff\xff"
    assert image.pin(directory, 0x82) is None
    assert "9999" not in repr(pin)
    nothing = build(0xA2, head(22), build(0xA1, build(0x81, bytes.fromhex("7fd05f70"))))
    assert refused(with_elements(sub, nothing))[:2] == (Status.PIN_CODE_MISSING, 22)


def test_iot_element_is_mf_and_usim_in_one() -> None:
    parts = {raw[0]: raw for raw in elements()}
    mf = {child.tag: child.value for child in tlv.first(parts[0xB0]).children()}
    usim = {child.tag: child.value for child in tlv.first(parts[0xB3]).children()}
    members = [build(tag, mf[tag]) for tag in (0xA2, 0xA4, 0xA5, 0xA6)]
    members += [build(tag + 6, usim[tag]) for tag in (0xA2, 0xA3, 0xA4)]
    members += [build(0xAE, usim[0xA8]), build(0xB2, usim[0xB2]), build(0xB5, usim[0xB5]), build(0xB6, usim[0xB6])]
    iot = build(0xBF20, head(4), build(0x81, oid("17")), *members)
    # the global PINs are of the MF, the local ones of the application
    package = b"".join((parts[0xA0], iot, parts[0xA3], elements()[3], elements()[6], parts[0xA4], parts[0xAA]))
    image = install(package).image
    assert ids.imsi_digits(bytes.fromhex(content(image, "7FD0/6F07"))) == "001010000000002"
    assert content(image, "7FD0/6F7B") == "ff" * 12
    assert content(image, "2FE2") == "980001010000000020f7"
    assert find(package).imsi == "001010000000002"


def element(tag: int, number: int, template: str, *members: bytes) -> bytes:
    return build(tag, head(number), build(0x81, oid(template)), *members)


def test_members_of_further_templates_need_nothing_but_their_tag() -> None:
    """EFs by their templates alone: identifier, structure, size, short identifier and content (TCA SAIP section 9)."""
    aid = bytes.fromhex("A0000000871004FFFFFFFF8907090000")
    isim = element(
        0xB5,
        20,
        "8",
        fcp(0xA2, "A11E" + "83027FB0" + "8410" + aid.hex() + "8B032F0603" + "C60101"),
        build(0xA3, build(0x83, b"impi")),
        fcp(0xA4, "A109" + "820442210010" + "800120"),
        build(0xA5, build(0x83, b"home.example")),
        build(0xA6, build(0x83, bytes(7))),
        fcp(0xA8, "A109" + "820442210020" + "800120"),
    )
    size = build(0xA1, build(0x80, b"\x20"))
    shaped = build(0xA1, bytes.fromhex("820442210010"), build(0x80, b"\x20"))
    package = with_isim_in_dir(
        aid,
        isim,
        element(0xB6, 21, "9.2", build(0xA2, shaped), build(0xA3), build(0xAB), build(0xAC, size)),
    )
    image = install(package).image
    assert image.ef("7FB0/6F3C").content[:2].hex() == "00ff"  # type: ignore[union-attr]
    assert content(image, "7FB0/6F09") == "ff" * 32
    assert content(image, "7FB0/6FF7") == "00"
    settings = image.ef("7FB0/6FF8")
    assert settings is not None
    assert (settings.structure, settings.content, settings.capacity) == (Structure.BER_TLV, b"", 32)

    usim = with_elements(
        element(0xBC, 30, "13.4", build(0xA2), build(0xAC), build(0xAF), build(0xB4, build(0x83, b"\1"))),
        element(0xBE, 31, "15", build(0xA2), build(0xA3)),
        element(0xBF1F, 32, "16", build(0xA2), build(0xA3), build(0xA8)),
        element(0xBB, 33, "12", build(0xA2, build(0xA1, bytes.fromhex("83025F70"))), build(0xA4)),
        element(
            0xB2, 34, "3.2", build(0xA2), build(0xA6), build(0xAF), build(0xB4), build(0xBF28), build(0xBF2A, size)
        ),
        element(0xB1, 35, "2", build(0xA2), build(0xA3, size)),
    )
    image = install(usim).image
    expected = {
        "7FD0/5FC0/4F0A": ("f0ff0000", 0x0A),
        "7FD0/5FC0/4F0D": ("ffff", 0x0D),
        "7FD0/5FC0/4F15": ("01", 0x15),
        "7FD0/5FE0/4F01": ("ff", None),
        "7FD0/5FF0/4F01": ("ff", 1),
        "7FD0/5FF0/4F06": ("ff" * 32, 6),
        "7FD0/5F70/4F02": ("00", None),
        "7F10/6FE0": ("ff" * 1200, None),
        "7F10/5F3A/4F22": ("00000000", None),
        "7F10/5F3D/4F02": ("", 2),
        "7F11/6F01": ("ff" * 32, None),
    }
    for path, (value, sfi) in expected.items():
        ef = image.ef(path)
        assert ef is not None, path
        assert (ef.content.hex(), ef.sfi) == (value, sfi), path


def with_isim_in_dir(aid: bytes, *extra: bytes) -> bytes:
    """The operational package with a second record in EF.DIR."""
    parts = elements()
    index = next(i for i, raw in enumerate(parts) if raw[0] == 0xB0)
    mf = tlv.first(parts[index]).children()
    record = build(0x83, build(0x61, build(0x4F, aid), build(0x50, b"ISIM")))
    first_record = next(part for part in mf if part.tag == 0xA5)
    skip = 0x26 - len(first_record.children()[1].value)
    more = build(0xA5, first_record.value, build(0x82, bytes((skip,))), record)
    parts[index] = build(0xB0, *(more if part.tag == 0xA5 else part.raw for part in mf))
    return b"".join([*parts[:-1], *extra, parts[-1]])


def test_opt_usim_defaults_at_the_end_of_a_record() -> None:
    parts = elements()
    index = next(i for i, raw in enumerate(parts) if raw[0] == 0xB4)
    parts[index] = build(0xB4, tlv.first(parts[index]).value, build(0xBB), build(0xBC), build(0xA8), build(0xBF42))
    image = install(b"".join(parts)).image
    assert content(image, "7FD0/6F80") == ("ff" * 31 + "0000000001ffff") * 20
    assert content(image, "7FD0/6F81") == ("ff" * 31 + "00000001ffff") * 20
    assert content(image, "7FD0/6F41") == "ffffff0000"
    assert content(image, "7FD0/6FE6").startswith("801e60c01e90")


def test_opt_iot_has_its_directories_side_by_side() -> None:
    parts = {raw[0]: raw for raw in elements()}
    mf = {child.tag: child.value for child in tlv.first(parts[0xB0]).children()}
    usim = {child.tag: child.value for child in tlv.first(parts[0xB3]).children()}
    members = [build(tag, mf[tag]) for tag in (0xA2, 0xA4, 0xA5, 0xA6)]
    members += [build(tag + 6, usim[tag]) for tag in (0xA2, 0xA3, 0xA4)]
    members += [build(0xAE, usim[0xA8]), build(0xB2, usim[0xB2]), build(0xB5, usim[0xB5]), build(0xB6, usim[0xB6])]
    iot = build(0xBF20, head(4), build(0x81, oid("17")), *members)
    more = element(
        0xBF21, 21, "18", build(0xA3), build(0xA6, build(0x83, b"\1IOT")), build(0xAB), build(0xAD), build(0xAE),
        build(0xBA), build(0xBB, build(0xA1, build(0x80, b"\x10"))),
    )  # fmt: skip
    package = b"".join((parts[0xA0], iot, parts[0xA3], elements()[3], elements()[6], parts[0xA4], more, parts[0xAA]))
    image = install(package).image
    assert content(image, "7FD0/6F46").startswith("01494f54ff")
    assert content(image, "7FD0/6FE3").endswith("000001")
    assert content(image, "7FD0/5FC0/4F01").endswith("00000001")
    assert content(image, "7FD0/5FD0/4F01") == "ff" * 16


@pytest.mark.parametrize(
    ("rule", "mode", "keys", "expected"),
    [
        (2, 1, {1}, True),
        (2, 1, {10}, False),
        (2, 2, {1}, False),
        (2, 2, {10}, True),
        (10, 1, set(), True),
        (10, 2, set(), False),
        (4, 2, {1, 10}, False),  # never
        (8, 2, {0x81}, True),
        (8, 2, {1}, False),
    ],
)
def test_standard_access_rules(rule: int, mode: int, keys: set[int], expected: bool) -> None:
    assert allowed(RULES[rule] + b"\xff" * 5, mode, keys.__contains__) is expected


def test_combined_conditions() -> None:
    key = "A40683010{}950108"
    either = bytes.fromhex("800101" + "A010" + key.format("1") + key.format("2"))
    both = bytes.fromhex("800101" + "AF10" + key.format("1") + key.format("2"))
    neither = bytes.fromhex("800101" + "A708" + key.format("1"))
    assert allowed(either, 1, {2}.__contains__)
    assert not allowed(both, 1, {2}.__contains__)
    assert allowed(both, 1, {1, 2}.__contains__)
    assert allowed(neither, 1, set().__contains__)
    assert not allowed(neither, 1, {1}.__contains__)
    assert not allowed(b"", 1, {1}.__contains__)
    assert not allowed(b"\x80\x01", 1, {1}.__contains__)
    assert allowed_instruction(RULES[7], 0x32, {1}.__contains__)
    assert not allowed_instruction(RULES[5], 0x32, {1}.__contains__)


MEMBER_TAGS = (
    0x80,
    0x81,
    0x82,
    0x83,
    0x84,
    0x8A,
    0x8B,
    0xC6,
    0x88,
    0xA5,
    0xC7,
    0x62,
    0xA1,
    0xA0,
    0x30,
    0x02,
    0xA2,
    0xB3,
)
VALUES = st.recursive(
    st.one_of(
        st.binary(max_size=12),
        st.sampled_from(
            [bytes.fromhex(text) for text in ("4121", "42210010", "46210003", "7921", "7821", "7fd0", "6f07")]
        ),
    ),
    lambda inner: st.lists(st.tuples(st.sampled_from(MEMBER_TAGS), inner), max_size=5).map(
        lambda parts: b"".join(build(tag, value) for tag, value in parts)
    ),
    max_leaves=10,
)


@given(
    st.sampled_from(
        [raw[0] for raw in elements()[1:-1]] + [0xA1, 0xB2, 0xB5, 0xB6, 0xB7, 0xB8, 0xBC, 0xA5, 0xA9, 0xAB]
    ),
    st.sampled_from(("1", "3", "4", "5", "6", "8", "9", "13", "14", "17", "99")),
    VALUES,
    st.booleans(),
)
def test_any_element_installs_or_is_refused_with_its_number(tag: int, name: str, value: bytes, replace: bool) -> None:
    """Elements of random members, in place of the right one or beside it: an image, or a status with the element."""
    made = build(tag, head(40), build(0x81, oid(name)), value)
    package = with_elements(made)
    if replace:
        package = b"".join(made if raw[0] == tag else raw for raw in elements())
    try:
        found = install(package)
    except InstallError as error:
        assert error.status is not Status.OK
        assert first_status(error.response())[0] == error.status
        assert error.identification is None or 0 <= error.identification <= 40
    else:
        assert first_status(found.response)[0] in (0, 1)
        for path, node in found.image.files.items():
            if isinstance(node, Ef):
                assert node.path == path
                assert not node.record or len(node.content) == node.records * node.record


def first_status(response: bytes) -> tuple[int, bytes]:
    """PEStatus of the first entry of an EUICCResponse, and the whole."""
    entry = tlv.first(response).children()[0].children()[0]
    return int.from_bytes(entry.children()[0].value, "big"), response
