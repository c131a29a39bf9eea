"""Packages: the built ones byte for byte, the TS.48 ones taken apart, default packages of a home."""

from __future__ import annotations

import dataclasses
import hashlib
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.rsp import ids
from bench.rsp.errors import EncodeError
from fixtures.profiles import (
    Event,
    InstallError,
    Package,
    PackageError,
    ProfileClass,
    build,
    ensure_default_packages,
    find,
    install,
    metadata,
)
from fixtures.profiles.aka import Algorithm
from fixtures.profiles.builder import MINIMUM_SERVICES, apn_labels, service_table
from fixtures.profiles.subscription import http_parameters

from . import samples


def test_built_packages_are_the_described_bytes() -> None:
    assert len(samples.bootstrap()) == 973
    assert hashlib.sha256(samples.bootstrap()).hexdigest() == (
        "6a5e1749498ab657eab3dafdd491121b3fe12940eea9578131606b8ba8f39528"
    )
    assert len(samples.operational()) == 970
    assert hashlib.sha256(samples.operational()).hexdigest() == (
        "3b4c433c5d5403b28581e5103f2c54e5236363ff78e9ddcb8b95ae72e395c5ce"
    )


def test_find_in_a_built_package() -> None:
    found = find(samples.operational())
    assert (found.iccid, found.imsi, found.home_plmn) == ("8900101000000000027", "001010000000002", "00101")
    assert (found.spn, found.apn, found.acc) == ("OPER", "internet", 4)
    assert (found.algorithm, found.k, found.opc) == (Algorithm.MILENAGE, samples.K, samples.OPC)
    assert found.ehplmn == ("00101",)
    assert found.fplmn == ()
    assert found.services == MINIMUM_SERVICES
    assert samples.K.hex() not in repr(found)
    assert repr(samples.K) not in repr(found)


def test_every_parameter_reaches_its_file() -> None:
    parameters = dataclasses.replace(
        samples.OPERATIONAL,
        iccid="89490200001234567895",
        imsi="310410123456789",
        mnc_length=3,
        k=bytes(range(16)),
        spn="A longer name",
        apn="iot.operator.example",
        acc=0x8001,
        plmns=("310410", "26201"),
        fplmn=("26202", "310260"),
        services=MINIMUM_SERVICES | {122, 124},
        algorithm=Algorithm.XOR,
    )
    found = find(build(parameters))
    assert found.iccid == "89490200001234567895"
    assert (found.imsi, found.mnc_length, found.home_plmn) == ("310410123456789", 3, "310410")
    assert (found.k, found.opc, found.algorithm) == (bytes(range(16)), None, Algorithm.XOR)
    assert (found.spn, found.apn, found.acc) == ("A longer name", "iot.operator.example", 0x8001)
    assert found.ehplmn == ("310410", "26201")
    assert found.fplmn == ("26202", "310260")
    assert found.services == parameters.services
    image = install(build(parameters)).image
    hplmn = image.ef("7FD0/6F62")
    assert hplmn is not None
    assert hplmn.content.hex() == "130014c08062f210c080"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"k": b""}, "16 bytes"),
        ({"iccid": "12"}, "ICCID"),
        ({"spn": "x" * 17}, "SPN"),
        ({"apn": "a..b"}, "APN"),
        ({"fplmn": ("00101",) * 5}, "FPLMN"),
        ({"mnc_length": 4}, "MNC"),
        ({"imsi": "1234567890123456"}, "IMSI"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], text: str) -> None:
    with pytest.raises(EncodeError, match=text):
        build(dataclasses.replace(samples.OPERATIONAL, **change))  # type: ignore[arg-type]


def test_literal_codings() -> None:
    assert apn_labels("internet").hex() == "08696e7465726e6574"
    assert apn_labels("bootstrap.iot").hex() == "09626f6f74737472617003696f74"
    assert service_table(MINIMUM_SERVICES).hex() == "00081c0021060000400010000000"
    wrapped = bytes.fromhex("a1053501034700")
    assert http_parameters(wrapped) == bytes.fromhex("3501034700")
    assert http_parameters(bytes.fromhex("3501034700")) == bytes.fromhex("3501034700")
    assert http_parameters(None) is None


@pytest.mark.parametrize("name", samples.TS48)
def test_ts48_packages_install(name: str) -> None:
    data = samples.ts48(name)
    package = Package.parse(data)
    assert b"".join(element.raw for element in package.elements) == data
    installed = install(package)
    assert installed.response.hex() == "3007a0053003800100"
    found = find(package)
    assert (found.imsi, found.spn, found.acc) == ("001010123456063", "GSMA\x11TEST", 1)
    assert (found.algorithm, found.k.hex()) == (Algorithm.XOR, "000102030405060708090a0b0c0d0e0f")
    image = installed.image
    iccid = image.ef("2FE2")
    assert iccid is not None
    # the header has the digits in order, the file has them swapped
    assert ids.iccid_digits(iccid.content) == package.iccid
    contents = {
        "7FD0/6F7B": "ff" * 12,
        "7FD0/6FAD": "80000002",
        "7FD0/6F7E": "ffffffff42f618fffeff01",
        "7FD0/6FE3": "ff" * 12 + "000000000001",
        "7FD0/6F73": "ff" * 7 + "42f618fffeff01",
        "7FD0/5F3B/4F20": "ff" * 8 + "07",
        "7F10/5F3A/4F22": "00000000",
    }
    for path, content in contents.items():
        ef = image.ef(path)
        assert ef is not None, path
        assert ef.content.hex() == content, path
    directory = image.ef("2F00")
    assert directory is not None
    assert (len(directory.content), directory.records) == (132, 4)
    assert directory.content[33:35].hex() == "6114"
    # patterns fill each record, with their last byte repeated
    ici = image.ef("7FD0/6F80")
    assert ici is not None
    assert {ici.content[i : i + 42] for i in range(0, len(ici.content), 42)} == {ici.content[:42]}
    assert ici.content[35:42].hex() == "0000000000ffff"[:14]


def test_ts48_of_5g_has_its_files() -> None:
    image = install(samples.ts48("TS48V5-SAIP2-3-NOBERTLV-UNIQUE.der")).image
    loci = image.ef("7FD0/5FC0/4F01")
    assert loci is not None
    assert loci.content.hex() == "ff" * 13 + "42f61800000001"
    assert loci.sfi == 1
    assert image.pin(image.files["7FD0/5FC0"], 0x81) is not None  # type: ignore[arg-type]
    assert len(list(image.applications())) == 3


def test_metadata_literal() -> None:
    made = metadata(samples.operational(), provider="P", name="N", notifications={Event.ENABLE: ["a"]})
    assert made.hex() == ("bf25245a0a980001010000000020f791015092014eb609300780020640810161b705800300f110")
    classes = metadata(samples.bootstrap(), notifications={}, policy_rules=0x40, fallback_allowed=True).hex()
    assert classes.endswith("950101b705800300f110990206409f6701ff")
    assert "950100" in metadata(samples.bootstrap(), profile_class=ProfileClass.TEST).hex()


def test_default_packages_are_made_once_and_private(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(ensure_default_packages, [tmp_path] * 8))
    assert len(found) == 1
    packages = found.pop()
    before = packages.bootstrap.read_bytes(), packages.operational.read_bytes()
    assert stat.S_IMODE(packages.bootstrap.stat().st_mode) == 0o600
    again = ensure_default_packages(tmp_path)
    assert (again.bootstrap.read_bytes(), again.operational.read_bytes()) == before
    bootstrap, operational = map(find, before)
    assert (bootstrap.iccid, bootstrap.imsi, bootstrap.home_plmn, bootstrap.spn, bootstrap.apn) == (
        "8900101000000000019",
        "001010000000001",
        "00101",
        "BOOT",
        "bootstrap.iot",
    )
    assert (operational.iccid, operational.imsi, operational.home_plmn, operational.spn, operational.apn) == (
        "8900101000000000027",
        "999700000000002",
        "99970",
        "OPER",
        "internet",
    )
    assert bootstrap.k != operational.k
    assert ensure_default_packages(tmp_path / "other").bootstrap.read_bytes() != before[0]
    assert sorted(path.name for path in packages.bootstrap.parent.iterdir()) == ["bootstrap.der", "operational.der"]


def test_smallest_package_and_the_one_that_hangs_a_decoder() -> None:
    smallest = bytes.fromhex("a016800102810103830a8900101000000000019fa500a600aa05a003810101")
    assert Package.parse(smallest).iccid == "8900101000000000019"
    with pytest.raises(InstallError, match="no MF"):
        install(smallest)
    hanging = bytes.fromhex("a019800102810103830a8900101000000000019fa500a603040100")
    assert Package.parse(hanging).header.templates == ()
    with pytest.raises(PackageError):
        Package.parse(b"")


@given(st.data())
def test_corrupt_packages_install_or_are_refused(data: st.DataObject) -> None:
    package = bytearray(samples.bootstrap())
    for _ in range(data.draw(st.integers(1, 3))):
        package[data.draw(st.integers(0, len(package) - 1))] = data.draw(st.integers(0, 255))
    try:
        installed = install(bytes(package))
    except InstallError as error:
        assert error.response()[:2] != b""
    else:
        assert installed.response[:3].hex() in ("3007a0", "300ca0", "300aa0", "3012a0")


@given(st.binary(max_size=300))
def test_any_bytes_install_or_are_refused(data: bytes) -> None:
    with pytest.raises(InstallError):
        install(data)
