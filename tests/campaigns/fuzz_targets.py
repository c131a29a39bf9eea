"""Entry points of outside bytes, each as a function that a fuzzer calls, with seeds and the errors that are allowed.

A target raises Finding (or anything else that is no allowed error) for what must not happen: a crash, a state change
from a rejected input, a message that is read but cannot be said again. Used by tests/campaigns/fuzz.py under atheris,
and by tests/rsp/test_fuzz.py on a small sample without it.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from campaigns import fuzz_coaps, fuzz_decoders, fuzz_operator, fuzz_smdpp

if TYPE_CHECKING:
    from fixtures.sim.euicc import VirtualEuicc

Target = Callable[[bytes], None]
CHUNK = 255


class Finding(Exception):
    """Something that no input may cause."""


class StateChanged(Finding):
    """The card refused an input, and its state is not what it was."""


# --- bytes to values --------------------------------------------------------------------------------------------------


def fuzz_tlv(data: bytes) -> None:
    """bench.rsp.tlv: walking, and building again what was walked."""
    from bench.rsp import tlv
    from bench.rsp.errors import DecodeError

    try:
        nodes = tlv.parse(data)
    except DecodeError:
        return
    if b"".join(node.raw for node in nodes) != data:
        raise Finding("the slices are not the bytes")
    for node in nodes:
        again = tlv.build(node.tag, node.value)
        if tlv.first(again).value != node.value:
            raise Finding(f"{node!r} is not itself when built again")


@functools.cache
def _types() -> list[tuple[str, str]]:
    from bench.rsp.asn1.schema import SCHEMA

    return [(module, name) for module in sorted(SCHEMA) for name in SCHEMA[module]["types"]]


def fuzz_asn1(data: bytes) -> None:
    """bench.rsp.codec: the first two bytes choose the type; what decodes must encode to what decodes the same."""
    from bench.rsp import codec
    from bench.rsp.errors import DecodeError

    if len(data) < 3:
        return
    kinds = _types()
    module, name = kinds[int.from_bytes(data[:2], "big") % len(kinds)]
    for accept in (None, ()):
        options: dict[str, Any] = {} if accept is None else {"accept": accept}
        try:
            value = codec.decode(name, data[2:], module=module, **options)
        except DecodeError:
            continue
        if name == "ExpirationDate":
            continue
        again = codec.encode(name, value, module=module)
        # Not value by value: trailing zeros of named bits say nothing, and DER leaves them out.
        if codec.encode(name, codec.decode(name, again, module=module, accept=()), module=module) != again:
            raise Finding(f"{name} {data[2:].hex()} says {value!r}, which is not what {again.hex()} says")


def fuzz_packages(data: bytes) -> None:
    """eUICC Packages, their results, the dialect of v1.0 and the other forms."""
    from bench.rsp import dialect, forms, packages
    from bench.rsp.dialect import NotInDialect
    from bench.rsp.errors import DecodeError

    readers: list[Callable[[bytes], Any]] = [
        packages.parse_request,
        packages.parse_result,
        lambda raw: packages.command(raw, "psmo"),
        lambda raw: packages.command(raw, "eco"),
        dialect.spoken,
        dialect.result_data_to_v1_0,
        dialect.result_to_v1_2,
    ]
    for kind in ("ipa", "eim", "command", "response"):
        for version in ("1.0", "1.2"):
            readers.append(functools.partial(dialect.convert, kind=kind, to=version, eid=bytes(16)))  # type: ignore[arg-type]
    readers += [functools.partial(forms.deviate, form=form) for form in forms.Form]
    for read in readers:
        try:
            read(data)
        except (DecodeError, NotInDialect):
            continue


def fuzz_certs(data: bytes) -> None:
    """Certificates, keys and signatures."""
    from bench.rsp import certs, ecdsa
    from bench.rsp.errors import RspError

    for read in (
        certs.load,
        certs.public_key,
        certs.subject_key_id,
        certs.authority_key_id,
        certs.registered_id,
        certs.eid_of,
        certs.self_issued,
        certs.roles,
        certs.subject_text,
        certs.permitted_eins,
        certs.check_root,
        ecdsa.public_key_from_spki,
        functools.partial(ecdsa.public_key_from_point, "secp256r1"),
        ecdsa.from_der,
        lambda der: certs.issued_by(der, _authority()),
        lambda der: certs.check_chain(der, [], [_authority()], certs.Role.EUICC),
    ):
        try:
            read(data)
        except RspError:
            continue


@functools.cache
def _authority() -> bytes:
    return _pki().ci.certificate


def fuzz_text(data: bytes) -> None:
    """Activation codes, identifiers, names and the options of the interpretation log."""
    from bench.errors import BenchError
    from bench.rsp import ids, names
    from bench.rsp.download import ActivationCode
    from bench.rsp.interpretation import Interpretation
    from bench.rsp.interpretation_table import POINTS

    text = data.decode("utf-8", "replace")
    readers: list[Callable[[], Any]] = [
        lambda: ActivationCode.parse(text),
        lambda: ids.eid_bytes(text),
        lambda: ids.eid_digits(data),
        lambda: ids.iccid_bytes(text),
        lambda: ids.iccid_digits(data),
        lambda: ids.plmn_bytes(text),
        lambda: ids.plmn_digits(data),
        lambda: names.function(int.from_bytes(data[:2], "big")),
        lambda: names.result(text, len(data)),
        lambda: names.bit(text, len(data)),
        *(functools.partial(Interpretation.read, {name: text}) for name in POINTS),
    ]
    for read in readers:
        try:
            read()
        except BenchError:
            continue


def fuzz_client(data: bytes) -> None:
    """What the ES10 client reads from cards, and the IPA and the eIM from each other."""
    from bench.apdu import es10_answers, es10_info, es10_views, iso7816
    from bench.errors import BenchError
    from bench.rsp import tlv
    from bench.rsp.errors import DecodeError
    from fixtures.eim import messages as eim
    from fixtures.ipa import messages as ipa

    readers: list[Callable[[bytes], Any]] = [
        iso7816.Command.parse,
        iso7816.Response.parse,
        *(_raw_reader(module) for module in (es10_info, es10_views, es10_answers)),
        *(getattr(ipa, name) for name in dir(ipa) if name.startswith("read_")),
    ]
    for read in readers:
        try:
            read(data)
        except (BenchError, ValueError):
            continue
    try:
        node = tlv.first(data)
    except DecodeError:
        return
    for module in (es10_views, es10_info):
        for name in _node_readers(module):
            try:
                getattr(module, name)(node)
            except (BenchError, ValueError):
                continue
    for name in dir(eim):
        if name.startswith("read_"):
            try:
                getattr(eim, name)(*((node, 0xBF38) if name == "read_relayed" else (node,)))
            except DecodeError:
                continue


def _parameters(module: Any) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the functions of a module with names and types of their parameters."""
    import inspect

    for name, value in vars(module).items():
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_"):
            yield name, [(item.name, str(item.annotation)) for item in inspect.signature(value).parameters.values()]


@functools.cache
def _node_readers(module: Any) -> tuple[str, ...]:
    return tuple(
        name for name, parameters in _parameters(module) if [kind for _, kind in parameters] in (["tlv.Tlv"], ["Tlv"])
    )


def _raw_reader(module: Any) -> Callable[[bytes], None]:
    """Return a call of every function of a module that takes bytes, and perhaps the tag that is expected."""

    def read(data: bytes) -> None:
        from bench.errors import BenchError

        tag = int.from_bytes(data[:2], "big")
        for name, parameters in _parameters(module):
            kinds = [kind for _, kind in parameters]
            if kinds in (["bytes"], ["bytes", "int"]):
                try:
                    getattr(module, name)(data, *([tag] if len(kinds) == 2 else []))
                except (BenchError, ValueError):
                    continue

    return read


def fuzz_esipa_json(data: bytes) -> None:
    """bench.rsp.esipa_json: the first byte chooses function and direction; what is read is written and read again."""
    from bench.rsp import esipa_json
    from bench.rsp.errors import DecodeError, EncodeError

    if not data:
        return
    tags = sorted(esipa_json.FUNCTIONS.values())
    tag, from_ipa = tags[data[0] % len(tags)], data[0] < 0x80
    read = esipa_json.read_from_ipa if from_ipa else esipa_json.read_from_eim
    write = esipa_json.write_from_ipa if from_ipa else esipa_json.write_from_eim
    try:
        message = read(tag, data[1:])
        body = write(message)
    except (DecodeError, EncodeError):
        return
    if read(tag, body) != message:
        raise Finding(f"{message.hex()} is another message when it is read from {body!r}")


def fuzz_compact(data: bytes) -> None:
    """bench.rsp.compact: what is made smaller is put together as it was; anything else is left or refused."""
    from rsp.messages import INFO2, SERVER_SIGNED1
    from rsp.notation import octets

    from bench.rsp import compact, tlv
    from bench.rsp.errors import DecodeError

    session, known = compact.Session(octets(SERVER_SIGNED1)), compact.Known(octets(INFO2))
    try:
        raw = tlv.first(data).raw
    except DecodeError:
        return
    for shrink, rebuild in (
        (
            lambda: compact.shrink_authentication(raw, session, known),
            lambda made: compact.rebuild_authentication(made, session, known, verify=False),
        ),
        (
            lambda: compact.shrink_preparation(raw, session),
            lambda made: compact.rebuild_preparation(made, session, known),
        ),
        (
            lambda: compact.shrink_cancellation(raw, session),
            lambda made: compact.rebuild_cancellation(made, session, known),
        ),
        (
            lambda: compact.shrink_installation(raw, session),
            lambda made: compact.rebuild_installation(made, session, known),
        ),
        (lambda: compact.shrink_notification(raw, known), lambda made: compact.rebuild_notification(made, known)),
    ):
        smaller = shrink()
        if smaller != raw and len(smaller) >= len(raw):
            raise Finding(f"{raw.hex()} became no smaller")
        for candidate in {smaller, raw}:
            try:
                rebuild(candidate)
            except DecodeError:
                if candidate != raw:
                    raise Finding(f"{raw.hex()} cannot be put together again") from None


LANES = ("apdu:0", "at:modem", "scpi:psu", "console:app", "esipa", "es9plus", "es2plus", "steps", "radio", "power", "x")


def fuzz_trace(data: bytes) -> None:
    """One-liners of the trace: never raise, never longer than 300 characters."""
    from bench.trace.decode import one_liner

    for lane in LANES:
        for direction in (0, 1):
            told = one_liner(lane, direction, data)
            if len(told) > 300:
                raise Finding(f"{len(told)} characters for {lane}")
            if "(decoder:" in told:
                raise Finding(f"{lane}: {told}")


def fuzz_profile(data: bytes) -> None:
    """Profile packages: parsing and installing."""
    from bench.errors import BenchError
    from fixtures.profiles import InstallError, Package, install

    try:
        install(Package.parse(data), memory=512 * 1024)
    except (BenchError, InstallError):
        return


# --- the card ---------------------------------------------------------------------------------------------------------

EID = "89049032123451234512345678901235"
EIM_ID = "eim.fuzz.example"
FIRST, SECOND = "8900101000000000019", "8900101000000000035"
K = bytes.fromhex("465b5ce8b199b49faa5f0a2ee238a6bc")
OPC = bytes.fromhex("cd63cb71954a9f4e48a5994e37a02baf")
ISD_R = bytes.fromhex("01A4040010A0000005591010FFFFFFFF8900000100")


@functools.cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="fuzz-"))


@functools.cache
def _pki() -> Any:
    from fixtures.pki import Pki

    return Pki.open(_folder() / "home")


class _Memory:
    """The card's store without a disk."""

    def __init__(self, text: str) -> None:
        self.text = text

    def read(self) -> Any:
        from fixtures.sim.euicc.state import State

        return State.load(self.text)

    def write(self, state: Any) -> None:
        self.text = state.dump()


@dataclass
class Bench:
    """A card with two profiles and an eIM, its state as it was made, and the eIM's key."""

    card: VirtualEuicc
    baseline: str
    key: Any

    def restart(self) -> None:
        """Bring the card back to its first state, reset, with ISD-R selected on channel 1."""
        from fixtures.sim.euicc.state import State

        core = self.card._core
        core.state, core.changed = State.load(self.baseline), False
        self.card._store = _Memory(self.baseline)  # type: ignore[assignment]
        self.card.reset()
        self.card.transmit(bytes.fromhex("0070000001"))
        self.card.transmit(ISD_R)

    def state(self) -> str:
        return self.card._core.state.dump()

    def signed(self, commands: bytes, tag: int) -> bytes:
        """A package with these PSMOs or eCOs, signed by the associated eIM."""
        from bench.rsp import ecdsa, ids, packages
        from bench.rsp.tlv import build

        signed = build(
            0x30,
            build(0x80, EIM_ID.encode()),
            build(0x5A, ids.eid_bytes(EID)),
            build(0x81, b"\x05"),
            build(tag, commands),
        )
        return build(0xBF51, signed, build(0x5F37, ecdsa.sign(self.key, packages.signing_input(signed, None))))


@functools.cache
def bench() -> Bench:
    """Return the card under test, made once a process."""
    from bench.rsp import ecdsa, ids, tlv
    from bench.rsp.tlv import build
    from fixtures.profiles import Parameters
    from fixtures.profiles import build as build_package
    from fixtures.sim.euicc import VirtualEuicc
    from fixtures.sim.euicc.options import EuiccOptions
    from fixtures.sim.euicc.state import Profile

    boot = _folder() / "boot.der"
    boot.write_bytes(build_package(Parameters(FIRST, "001010000000001", K, OPC, "BOOT", "iot")))
    card = VirtualEuicc.open(_folder() / "card", pki=_pki(), eid=EID, bootstrap=boot, options=EuiccOptions())
    state = card._core.state
    other = Profile(**{**vars(state.profiles[0]), "enabled": False})
    other.aid = state.profiles[0].aid[:-4] + "1100"
    other.iccid = ids.iccid_bytes(SECOND).hex()
    state.profiles.append(other)
    key = ecdsa.generate()
    found = Bench(card, state.dump(), key)
    card.power_on()
    found.restart()
    eim = build(
        0x30,
        build(0x80, EIM_ID.encode()),
        build(0x83, b"\x00"),
        build(0xA5, build(0xA0, tlv.first(ecdsa.spki(key.public_key())).value)),
    )
    answer, _ = store_data(card, build(0xBF57, build(0xA0, eim)))
    assert answer.hex() == "bf5704a0020500", answer.hex()
    found.baseline = found.state()
    return found


def store_data(card: VirtualEuicc, data: bytes) -> tuple[bytes, int]:
    """Send a command to ISD-R on channel 1; data and status word of the answer."""
    answer = b"\x90\x00"
    pieces = [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)] or [b""]
    for number, piece in enumerate(pieces):
        last = 0x91 if number == len(pieces) - 1 else 0x11
        answer = card.transmit(bytes((0x81, 0xE2, last, number & 0xFF, len(piece))) + piece)
        if number < len(pieces) - 1 and answer != b"\x90\x00":
            break
    whole = answer[:-2]
    while len(answer) >= 2 and answer[-2] == 0x61:
        answer = card.transmit(bytes((0x01, 0xC0, 0, 0, answer[-1])))
        whole += answer[:-2]
    return whole, int.from_bytes(answer[-2:], "big")


def rejected(answer: bytes, status: int) -> bool:
    """Return whether the card refused a command: by status word, or by an error alone in the answer.

    Signed results of packages and installation results are work that was done, whatever they say.
    """
    from bench.rsp import tlv

    if status != 0x9000 and status >> 8 not in (0x91, 0x61):
        return True
    if not answer:
        return False
    outer = tlv.first(answer)
    members = outer.children()
    if outer.tag == 0xBF51:
        return members[0].tag in (0xA1, 0xA2)
    if outer.tag == 0xBF37 or len(members) != 1:
        return False
    only = members[0]
    return only.tag in (0x80, 0x81, 0x82, 0x02) and len(only.value) == 1 and only.value != b"\x00"


def _check(found: Bench, before: str, what: str) -> None:
    after = found.state()
    if after != before:
        raise StateChanged(f"state changed by a rejected input: {what}")
    if found.card.faults:
        faults, found.card.faults = found.card.faults, 0
        raise Finding(f"{faults} internal errors of the card (6F00): {what}")


def fuzz_es10(data: bytes) -> None:
    """One ES10 command after the other, each chained over STORE DATA; the first byte says how the bytes are used.

    0: as they are; 1: as PSMOs, 2: as eCOs of a package that the eIM has signed; 3: with an RSP session open.
    """
    if not data:
        return
    found = bench()
    found.restart()
    kind, body = data[0] & 3, data[1:]
    commands = [body]
    if kind in (1, 2):
        commands = [found.signed(body, 0xA0 if kind == 1 else 0xA1)]
    elif kind == 3:
        commands = [bytes.fromhex("BF2E00"), body]
    for command in commands:
        if not command:
            return
        before = found.state()
        answer, status = store_data(found.card, command)
        if found.card.faults:
            _check(found, found.state(), command.hex())
        if rejected(answer, status):
            _check(found, before, f"{command.hex()} -> {answer.hex()} {status:04X}")
    found.card.reset()
    if found.card.faults:
        _check(found, found.state(), "reset after " + commands[-1].hex())


def fuzz_apdu(data: bytes) -> None:
    """A sequence of raw APDUs (length, bytes): any answer is well-formed, an error changes nothing."""
    found = bench()
    found.restart()
    at = 0
    for _ in range(16):
        if at >= len(data):
            return
        length = data[at]
        apdu = data[at + 1 : at + 1 + length]
        at += 1 + length
        before = found.state()
        answer = found.card.transmit(apdu)
        if not 2 <= len(answer) <= 258 or not (answer[-2] >> 4 == 6 or answer[-2] >> 4 == 9):
            raise Finding(f"{apdu.hex()} was answered {answer.hex()}")
        if found.card.faults:
            _check(found, found.state(), apdu.hex())
        # 62xx and 63xx tell of work that was done (a counter of PIN tries goes down).
        if answer[-2] >> 4 == 6 and answer[-2] not in (0x61, 0x62, 0x63, 0x6C) and apdu[1:2] not in (
            b"\x20", b"\x24", b"\x26", b"\x28", b"\x2c",
        ):  # fmt: skip
            _check(found, before, f"{apdu.hex()} -> {answer.hex()}")


def fuzz_load(data: bytes) -> None:
    """Bound Profile Packages in a session that an SM-DP+ has authenticated; the first byte says what is fuzzed.

    0: the metadata, 1: the profile package (both sealed as they are due), 2: units of the load, 3: a package cut
    short or changed at a place. Only a signed success may leave a profile.
    """
    from euicc import parties

    from bench.rsp import download

    if len(data) < 2:
        return
    found = bench()
    found.restart()
    terminal = parties.Terminal(found.card, channel=1)
    smdpp = parties.Smdpp(_pki())
    answer = parties.prepared(terminal, smdpp)
    kind, body = data[0] & 3, data[1:]
    if kind == 0:
        units = download.segment_bpp(smdpp.bind(answer, parties.operational(), about=body, eid=EID))
    elif kind == 1:
        about = download_metadata()
        units = download.segment_bpp(smdpp.bind(answer, body, about=about, eid=EID))
    else:
        units = download.segment_bpp(smdpp.bind(answer, parties.operational(), eid=EID))
        at = body[0] % len(units)
        if kind == 2:
            units[at:] = [body[1:] or b"\x86\x00"]
        else:
            changed = bytearray(units[at])
            for place, value in zip(body[1::2], body[2::2], strict=False):
                changed[place % len(changed)] = value
            units[at] = bytes(changed)
    before = {profile.aid for profile in found.card._core.state.profiles}
    told = b""
    for unit in units:
        told, status = store_data(found.card, unit)
        if told or status != 0x9000:
            break
    installed = {profile.aid for profile in found.card._core.state.profiles} - before
    _check(found, found.state(), f"load {data.hex()}")
    if installed and b"\xa2" not in told:
        raise StateChanged(f"a profile without a result: {told.hex()}")
    if installed and parties.pir(told)[0] != "ok":
        raise StateChanged(f"a profile of a failed installation: {told.hex()}")
    found.card.reset()
    _check(found, found.state(), f"reset after load {data.hex()}")


@functools.cache
def download_metadata() -> bytes:
    """Return the metadata of the operational package."""
    from euicc import parties

    from fixtures.profiles import metadata

    return bytes(metadata(parties.operational()))


TARGETS: dict[str, Target] = {
    "tlv": fuzz_tlv,
    "asn1": fuzz_asn1,
    "packages": fuzz_packages,
    "esipa-json": fuzz_esipa_json,
    "compact": fuzz_compact,
    "certs": fuzz_certs,
    "text": fuzz_text,
    "client": fuzz_client,
    "trace": fuzz_trace,
    "trace-fields": fuzz_decoders.fuzz_fields,
    "trace-exchanges": fuzz_decoders.fuzz_exchanges,
    "profile": fuzz_profile,
    "es10": fuzz_es10,
    "load": fuzz_load,
    "apdu": fuzz_apdu,
    "es9": fuzz_smdpp.fuzz_es9,
    "es2": fuzz_smdpp.fuzz_es2,
    "dtls": fuzz_coaps.fuzz_dtls,
    "coap": fuzz_coaps.fuzz_coap,
    "operator": fuzz_operator.fuzz_operator,
}


# --- seeds ------------------------------------------------------------------------------------------------------------


def seeds(target: str) -> list[bytes]:
    """Return inputs to start from: the literal messages of the tests, in the shape that the target takes."""
    from rsp.messages import messages

    if target in ("es9", "es2"):
        return fuzz_smdpp.seeds(target)
    if target in ("dtls", "coap"):
        return fuzz_coaps.seeds(target)
    if target == "operator":
        return fuzz_operator.seeds()
    literal = messages()
    raw = [data for _, _, data in literal]
    if target.startswith("trace-"):
        return fuzz_decoders.seeds(target, raw)
    if target == "asn1":
        kinds = _types()
        return [kinds.index((module, name)).to_bytes(2, "big") + data for module, name, data in literal]
    if target == "esipa-json":
        import json

        from bench.rsp import esipa_json

        tags = sorted(esipa_json.FUNCTIONS.values())
        vectors = json.loads((Path(__file__).parents[1] / "rsp" / "esipa_json_vectors.json").read_text())
        return [
            bytes((tags.index(int(vector["message"][:4], 16)) + (0 if vector["from"] == "ipa" else 0x80),))
            + json.dumps(vector["json"]).encode()
            for vector in vectors
        ]
    if target == "compact":
        starts = (b"\xbf\x38", b"\xbf\x21", b"\xbf\x41", b"\xbf\x37", b"\x30", b"\xa0", b"\xa1")
        return [data for data in raw if data.startswith(starts)]
    if target == "es10":
        parts = [data for _, name, data in literal if name in ("EuiccPackageRequest",)]
        return [
            *(b"\x00" + data for data in raw if data[0] == 0xBF),
            *(b"\x03" + data for data in raw if data[:2] in (b"\xbf\x38", b"\xbf\x21", b"\xbf\x41", b"\xbf\x36")),
            *(b"\x01" + psmos for psmos in _psmos()),
            *(kind + _list_of(data, tag) for data in parts for kind, tag in ((b"\x01", 0xA0), (b"\x02", 0xA1))),
        ]
    if target == "load":
        from euicc import parties

        package = parties.operational()
        return [
            b"\x00" + download_metadata(),
            *(b"\x00" + data for data in raw if data[:2] == b"\xbf\x25"),
            b"\x01" + package,
            *(b"\x02" + bytes((at,)) + unit for at in (0, 1, 2, 4) for unit in (b"\x86\x01A", b"\xa3\x03\x86\x01A")),
            *(b"\x03" + bytes((at, 0, 1, 5, 0xFF)) for at in range(6)),
        ]
    if target == "apdu":
        return [_sequence(*commands) for commands in _APDUS]
    if target == "certs":
        return [_authority(), _pki().eum.certificate, _pki().dp_auth.certificate, _pki().dp_tls.certificate]
    if target == "text":
        return [b"LPA:1$smdpp.example$ABC$1.2.3$1", b"1$a$b", EID.encode(), b"8900101000000000019", b"99970", b"emit"]
    if target == "profile":
        return [(_folder() / "boot.der").read_bytes()] if bench() else []
    if target == "trace":
        text = [b'AT+CSIM=10,"80F2000000"\r\n', b"+CREG: 0,5", b'{"euiccChallenge": "AAEC"}', b"*IDN?\n", b"3B9F96"]
        return [*raw, *text]
    return raw


def _psmos() -> list[bytes]:
    from bench.rsp import orders

    enable, rollback = orders.enable(SECOND), orders.enable(SECOND, rollback=True)
    return [
        enable,
        rollback + orders.list_profile_info(),
        orders.disable(FIRST) + enable,
        orders.delete(SECOND) + orders.set_default_dp_address("a.example"),
        orders.list_profile_info((0x5A, 0x9F70), iccid=FIRST) + orders.get_rat(),
        orders.set_fallback_attribute(SECOND) + orders.unset_fallback_attribute(),
        orders.configure_immediate_enable(flag=True, smdp_oid="2.999.10", smdp_address="a.example"),
    ]


def _list_of(request: bytes, tag: int) -> bytes:
    from bench.rsp import tlv

    found = tlv.first(request).find(0x30, tag)
    return found.value if found is not None else b"\xa6\x00"


def _sequence(*commands: str) -> bytes:
    raws = [bytes.fromhex(command) for command in commands]
    return b"".join(bytes((len(raw),)) + raw for raw in raws)


_APDUS = (
    ("00A40004023F00", "00A40004022FE2", "00B000000A"),
    ("0070000001", "01A4040010A0000005591010FFFFFFFF8900000100", "81E2910003BF2000", "01C0000010"),
    ("00A4040407A0000000871002", "00A40004026F07", "00B0000009", "80F2000000"),
    ("00A40804047FFF6F7B", "00B000000C", "00D600000C" + "FF" * 12),
    ("80AA00000AA9088100820101830107", "801000000AFFFFFFFF7F9D00DFBF00"),
    ("0020000108" + "31323334FFFFFFFF", "002C000110" + "3132333435363738" * 2),
    ("00880081" + "22" + "10" + "11" * 16 + "10" + "22" * 16 + "00", "00840000 08".replace(" ", "")),
    ("8012000000", "8014000003810301"),
    ("00A40004022F00", "00B2010400", "00A2010408" + "A0" * 8),
    ("81E2110001BF", "81E29101020 300".replace(" ", "")),
)
