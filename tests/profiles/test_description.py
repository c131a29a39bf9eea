"""Profiles described in TOML, and files of one's own in built packages."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError, ConfigurationError
from bench.rsp.errors import EncodeError
from bench.rsp.tlv import first
from fixtures.profiles import Description, File, Package, build, find, install, metadata
from fixtures.profiles.aka import Algorithm
from fixtures.profiles.templates import Structure

from . import samples

LAB = """
[profile]
iccid = "8949440000001142702"
imsi = "310410000000042"
mnc_length = 3
k = "465b5ce8b199b49faa5f0a2ee238a6bc"
op = "cdc202d5123e20f62b6d676ac72cb318"
spn = "LAB"
apn = "iot.lab.example"
type = "lab"
acc = 0x8001
fplmn = ["26202"]
plmns = ["310410", "26201"]
services = [12, 19, 20, 33, 38, 124, 125]
provider = "Lab operator"
name = "Lab profile"
class = "test"
ppr = ["PPR2"]
fallback_allowed = true
ecall = true
notifications = [{ events = ["enable"], address = "one.example" }, { address = "two.example" }]

[[files]]
path = "ADF.USIM/6F7E"
content = "ffffffff00f110fffeff01"

[[files]]
path = "7FFF/6F42"
content = "01"
record = 40
size = 80

[[files]]
path = "3F00/7F66/5F40/4F41"
text = "hello"
size = 600
access = 10

[[files]]
path = "7fff/7f66/4f01"
structure = "cyclic"
record = 3
size = 9
content = "000000"
access = 7
sfi = 5

[[files]]
path = "2F50"
structure = "ber-tlv"
size = 700
content = "80020102"
"""


def test_everything_reaches_the_package_and_its_metadata() -> None:
    described = Description.parse(LAB)
    package = described.build()
    found = find(package)
    assert (found.iccid, found.imsi, found.home_plmn) == ("8949440000001142702", "310410000000042", "310410")
    # OPc of TS 35.208 set 1, computed of OP
    assert (found.k.hex(), found.opc and found.opc.hex()) == (samples.K.hex(), "cd63cb71954a9f4e48a5994e37a02baf")
    assert (found.spn, found.apn, found.acc, found.profile_type) == ("LAB", "iot.lab.example", 0x8001, "lab")
    assert (found.fplmn, found.ehplmn) == (("26202",), ("310410", "26201"))
    assert found.services == {12, 19, 20, 33, 38, 124, 125}
    image = install(package).image
    expected = {
        "7FD0/6F7E": ("ffffffff00f110fffeff01", Structure.TRANSPARENT, 11, 11),
        "7FD0/6F42": ("01" + "ff" * 79, Structure.LINEAR_FIXED, 80, None),
        "7F66/5F40/4F41": (b"hello".hex() + "ff" * 595, Structure.TRANSPARENT, 600, None),
        "7FD0/7F66/4F01": ("000000" + "ff" * 6, Structure.CYCLIC, 9, 5),
        "2F50": ("80020102", Structure.BER_TLV, 700, None),
    }
    for path, (content, structure, capacity, sfi) in expected.items():
        ef = image.ef(path)
        assert ef is not None, path
        assert (ef.content.hex(), ef.structure, ef.capacity, ef.sfi) == (content, structure, capacity, sfi), path
    about = described.metadata(package)
    members = {part.tag: part.value for part in first(about).children()}
    assert (members[0x91], members[0x92], members[0x95]) == (b"Lab operator", b"Lab profile", b"\0")
    assert (members[0x99].hex(), members[0x9F67].hex(), members[0x9F7B].hex()) == ("0520", "ff", "ff")
    assert b"one.example" in members[0xB6] and members[0xB6].count(b"two.example") == 4
    assert members[0xB7].hex() == "8003130014"


def test_only_metadata_for_a_given_package(tmp_path: Path) -> None:
    path = tmp_path / "ts48.toml"
    path.write_text('[profile]\nprovider = "GSMA"\nclass = "test"\n')
    described = Description.load(path)
    assert described.parameters is None
    about = described.metadata(samples.operational(), notifications={})
    assert about == metadata(samples.operational(), provider="GSMA", profile_class=0, notifications={})  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="imsi"):
        described.build()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Description.load(tmp_path / "none.toml")


def test_tuak_and_the_test_algorithm() -> None:
    head = '[profile]\niccid = "8949440000001142702"\nimsi = "001010000000042"\n'
    # TS 35.233 test set 1: TOPc of TOP
    tuak = Description.parse(f'{head}algorithm = "tuak"\nk = "{"ab" * 16}"\nop = "{"55" * 32}"')
    found = find(tuak.build())
    assert found.algorithm is Algorithm.TUAK
    assert found.opc is not None
    assert found.opc.hex() == "bd04d9530e87513c5d837ac2ad954623a8e2330c115305a73eb45d1f40cccbff"
    assert Package.parse(tuak.build()).header.services == ("usim", "tuak128")
    long = Description.parse(f'{head}algorithm = "tuak"\nk = "{"ab" * 32}"\nopc = "{"55" * 32}"')
    assert Package.parse(long.build()).header.services == ("usim", "tuak256")
    xor = Description.parse(f'{head}algorithm = "xor"\nk = "{"ab" * 16}"')
    assert find(xor.build()).algorithm is Algorithm.XOR


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("x", "no TOML"),
        ("a = 1", "unknown"),
        ("", "missing"),
        ('[profile]\nimis = "1"', "did you mean imsi"),
        ("[profile]\nspn = 1", "needs imsi"),
        ('[profile]\nimsi = "001010000000042"\nk = "00"', "opc is missing"),
        ('[profile]\nimsi = "001010000000042"\nk = "zz"\nopc = "00"', "hexadecimal"),
        ('[profile]\nimsi = "001010000000042"\nk = "00"\nop = "00"', "op has 16 bytes"),
        ('[profile]\nimsi = "001010000000042"\niccid = 5\nk = "00"\nopc = "00"', "iccid is a text"),
        ('[profile]\nimsi = "001010000000042"\nalgorithm = "comp128"\nk = "00"', "milenage, tuak, xor"),
        ('[profile]\nppr = ["PPR3"]', "PPR1, PPR2"),
        ('[profile]\nppr = "PPR1"', "list of texts"),
        ('[profile]\nclass = "real"', "test, provisioning, operational"),
        ('[profile]\nfallback_allowed = "yes"', "true or false"),
        ('[profile]\nnotifications = [{ events = ["boot"], address = "a" }]', "install, enable, disable, delete"),
        ('[profile]\nnotifications = [{ adress = "a" }]', "did you mean address"),
        ('[profile]\nimsi = "1"\nk = "00"\nopc = "00"\n[[files]]\npath = "XYZ"', "no path"),
        ('[profile]\nimsi = "1"\nk = "00"\nopc = "00"\n[[files]]\npath = "2F00"\nsfi = "2"', "whole number"),
        ('[profile]\nimsi = "1"\nk = "00"\nopc = "00"\n[[files]]\nfile = "2F00"', "unknown in"),
    ],
)
def test_what_is_wrong_is_named(text: str, error: str) -> None:
    if "iccid" not in text:
        text = text.replace("imsi = ", 'iccid = "1"\nimsi = ')
    with pytest.raises(ConfigurationError) as caught:
        Description.parse(text, "lab.toml")
    assert error in str(caught.value)
    assert "lab.toml" in str(caught.value)


@pytest.mark.parametrize(
    "file",
    [
        File("7FFF/6F07", b"x"),  # EF.IMSI is the parameters'
        File("7FFF/6F06", b"x"),
        File("7FFF/6F7E", b"x", access=1),
        File("7FFF/6F7E", b"x" * 20, size=10),
        File("2F50", b"", size=0),
        File("2F50", b"x", structure="tree"),
        File("2F50", b"x", structure="linear"),
        File("2F50", b"xyz", structure="linear", record=2, size=3),
        File("2F50", b"x", sfi=31),
        File("2F50", b"x", access=15),
        File("7FFF", b"x"),
        File("3F00", b"x"),
        File("", b"x"),
    ],
)
def test_files_that_cannot_be(file: File) -> None:
    with pytest.raises(EncodeError):
        build(dataclasses.replace(samples.OPERATIONAL, files=(file,)))
    with pytest.raises(EncodeError, match="twice"):
        build(dataclasses.replace(samples.OPERATIONAL, files=(File("2F50", b"x"), File("3F00/2F50", b"y"))))


@given(
    st.lists(
        st.builds(
            File,
            st.sampled_from(("2F50", "7FFF/6F7E", "7FFF/6F40", "7FFF/5F66/4F01", "7F66/4F01", "7F66/5F01/4F02")),
            st.binary(max_size=40),
            structure=st.sampled_from((None, "transparent", "linear", "cyclic", "ber-tlv")),
            size=st.one_of(st.none(), st.integers(0, 300)),
            record=st.one_of(st.none(), st.integers(0, 60)),
            sfi=st.one_of(st.none(), st.integers(0, 30)),
            access=st.one_of(st.none(), st.integers(1, 14)),
        ),
        max_size=4,
    )
)
def test_what_is_built_installs_with_its_content(files: list[File]) -> None:
    try:
        package = build(dataclasses.replace(samples.OPERATIONAL, files=tuple(files)))
    except EncodeError:
        return
    image = install(package).image
    for file in files:
        ef = image.ef("/".join(f"{fid:04X}" for fid in file.fids))
        assert ef is not None
        assert ef.content.startswith(file.content)
        assert ef.sfi == (file.sfi or None) or (file.sfi is None and "7FFF/6F" in file.path)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for body in (text, f"[profile]\n{text}", f'[profile]\nimsi = "1"\n[[files]]\n{text}'):
        try:
            Description.parse(body)
        except BenchError:
            pass
