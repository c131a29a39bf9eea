"""The real virtual eUICC behind a channel, and the real SM-DP+ behind a relaying eIM of a hundred lines.

The eIM here is not the bundled one: it does what SGP.32 asks for and keeps nothing on disk: IPA, card and SM-DP+
are proved without the bundled one.
"""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from bench.rsp import packages
from bench.rsp import tlv as walk
from fixtures.pki import Pki
from fixtures.smdpp.catalogue import Catalogue
from fixtures.smdpp.es9 import Es9
from fixtures.smdpp.orders import Orders
from fixtures.smdpp.status import Refusal
from fixtures.smdpp.store import Store

from .fakes import FQDN, NOTHING, Answer, pin, tlv

EIM_ID = FQDN
SMDPP = "smdpp.bench.example"


def make_smdpp(home: Path, pki: Pki) -> Es9:
    folder = home / "smdpp"
    folder.mkdir(parents=True, exist_ok=True)
    store = Store.open(folder / "smdpp.sqlite")
    return Es9(pki=pki, store=store, orders=Orders(store, Catalogue(home), SMDPP), address=SMDPP, session_timeout=600)


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


@dataclass
class RelayEim:
    """Orders are worked off in turn: ("download", matching id) or ("psmo", its TLVs)."""

    pki: Pki
    smdpp: Es9
    eid: str
    orders: list[tuple[str, str | bytes]] = field(default_factory=list)
    counter: int = 0
    token: int | None = None
    sent: dict[int, bytes] = field(default_factory=dict)
    done: list[packages.PackageResult] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    delivered: Counter[bytes] = field(default_factory=Counter)
    last_seq: int = -1
    key: object = None
    takes_both: bool = True
    """Results that come together with notifications are taken; else HTTP 500."""
    together: int = 0
    """Notifications that came with a result."""

    def go_on(self, other: RelayEim) -> None:
        """Go on where another eIM left off."""
        self.orders, self.counter, self.token = list(other.orders), other.counter, other.token
        self.sent, self.last_seq = dict(other.sent), other.last_seq

    def configuration(self, ca: bytes) -> bytes:
        key = tlv("A5", pin("A0", self.pki.eim.spki))
        return tlv(
            "30",
            tlv("80", EIM_ID.encode()),
            tlv("81", FQDN.encode()),
            tlv("82", b"\x02"),
            tlv("83", b"\x00"),
            tlv("84", b"\xff"),
            key,
            tlv("A6", pin("A1", ca)),
            tlv("87", b"\x07\x80"),
            tlv("89"),
        )

    def __call__(self, message: bytes, _index: int) -> Answer:
        found = walk.first(message)
        return {
            0xBF4F: self._package,
            0xBF50: self._result,
            0xBF3D: self._notification,
            0xBF39: self._initiate,
            0xBF3B: self._authenticate,
            0xBF3A: self._bound,
            0xBF41: self._cancel,
        }[found.tag](found)

    def _package(self, _found: walk.Tlv) -> Answer:
        if not self.orders:
            return NOTHING
        kind, what = self.orders[0]
        if kind == "download":
            return tlv("BF4F", tlv("BF54"))
        counter = max(self.sent, default=self.counter)
        if counter not in self.sent:  # the same package until its result has come
            counter += 1
            assert isinstance(what, bytes)
            self.sent[counter] = packages.build_request(
                eim_id=EIM_ID,
                eid=self.eid,
                counter=counter,
                psmos=[what],
                key=self.key or self.pki.eim.key,  # type: ignore[arg-type]
                association_token=self.token,
            )
        return tlv("BF4F", self.sent[counter])

    def _result(self, found: walk.Tlv) -> Answer:
        both = found.find(0x30)  # ePRAndNotifications
        if both is not None and not self.takes_both:
            return 500
        raw = (both or found).find(0xBF51)
        assert raw is not None, "only package results are provided to this eIM"
        notifications = both.find(0xA0) if both is not None else None
        result = packages.parse_result(raw.raw)
        if result.form == "error-unsigned":
            self.failed.append("unsigned")
            self.sent.clear()
            self.orders.pop(0)
            return bytes.fromhex("bf50023000")
        euicc = self.pki.euicc(self.eid).key.public_key()
        assert packages.verify_result(result, euicc, self.token), "euiccSignEPR"
        self.delivered[raw.raw] += 1
        if result.seq is not None and result.seq > self.last_seq:
            self.last_seq = result.seq
            self.done.append(result)
            if result.counter in self.sent:
                del self.sent[result.counter]
                self.counter = result.counter or 0
                self.orders.pop(0)
        acknowledged = [(result.seq or 0).to_bytes(2, "big")]
        for pending in notifications.children() if notifications is not None else ():
            self.together += 1
            self._take(pending)
            seq = pending.find(0xBF2F, 0x80) or pending.find(0xBF27, 0xBF2F, 0x80)
            assert seq is not None
            acknowledged.append(seq.value)
        return tlv("BF50", tlv("BF53", *(tlv("80", seq) for seq in acknowledged)))

    def _notification(self, found: walk.Tlv) -> Answer:
        inner = found.find(0xA0)
        if inner is None:  # a trigger result
            self.failed.append(found.raw.hex())
            if self.orders and self.orders[0][0] == "download":
                self.orders.pop(0)
            return 204
        (pending,) = inner.children()
        self._take(pending)
        return 204

    def _take(self, pending: walk.Tlv) -> None:
        self.delivered[pending.raw] += 1
        received = self.smdpp.handle_notification({"pendingNotification": text(pending.raw)})
        assert not received.rejected, received.rejected
        success = pending.find(0xBF27, 0xA2, 0xA0)
        if success is not None and self.orders and self.orders[0][0] == "download":
            self.orders.pop(0)

    def _initiate(self, found: walk.Tlv) -> Answer:
        challenge, info1 = found.find(0x81), found.find(0xBF20)
        assert challenge is not None and info1 is not None
        answer = self.smdpp.initiate_authentication(
            {"euiccChallenge": text(challenge.value), "euiccInfo1": text(info1.raw), "smdpAddress": SMDPP}
        )
        matching = tlv("0C", str(self.orders[0][1]).encode())
        return tlv("BF39", tlv("A0", tlv("80", bytes.fromhex(answer["transactionId"])), *self._parts(answer), matching))

    @staticmethod
    def _parts(answer: dict[str, str]) -> list[bytes]:
        order = (
            "profileMetadata",
            "serverSigned1",
            "serverSignature1",
            "euiccCiPKIdToBeUsed",
            "serverCertificate",
            "smdpSigned2",
            "smdpSignature2",
            "smdpCertificate",
            "boundProfilePackage",
        )
        return [base64.b64decode(answer[name]) for name in order if name in answer]

    def _relay(self, found: walk.Tlv, inner: int, name: str, function: str, error: str) -> Answer:
        transaction, response = found.find(0x80), found.find(inner)
        assert transaction is not None and response is not None
        body = {"transactionId": transaction.value.hex(), name: text(response.raw)}
        try:
            answer = self.smdpp.functions[function](body)
        except Refusal as refusal:
            self.failed.append(str(refusal))
            self.orders.pop(0)
            return bytes.fromhex(error)
        assert isinstance(answer, dict)
        return tlv(f"{found.tag:X}", tlv("A0", tlv("80", transaction.value), *self._parts(answer)))

    def _authenticate(self, found: walk.Tlv) -> Answer:
        return self._relay(found, 0xBF38, "authenticateServerResponse", "authenticateClient", "bf3b03820106")

    def _bound(self, found: walk.Tlv) -> Answer:
        return self._relay(found, 0xBF21, "prepareDownloadResponse", "getBoundProfilePackage", "bf3a03810105")

    def _cancel(self, found: walk.Tlv) -> Answer:
        transaction, content = found.find(0x80), found.find(0xA1)
        assert transaction is not None and content is not None
        body = {
            "transactionId": transaction.value.hex(),
            "cancelSessionResponse": text(walk.build(0xBF41, content.value)),
        }
        try:
            self.smdpp.cancel_session(body)
        except Refusal as refusal:
            self.failed.append(str(refusal))
            return bytes.fromhex("bf410381017f")
        self.failed.append("cancelled")
        if self.orders and self.orders[0][0] == "download":
            self.orders.pop(0)
        return bytes.fromhex("bf4102a000")
