"""An eIM that does everything wrong: each misbehaviour, and what card, IPA and order must make of it."""

from __future__ import annotations

from bench.engine.recipe import Station, recipe
from recipes import start
from recipes.job import Job
from recipes.misbehaviours import Budget, Row
from recipes.negative import Negative, chosen, misbehaves
from recipes.parameters import Deadlines, Profiles

_POLL, _RESULT = "getEimPackage", "provideEimPackageResult"
_INITIATE, _AUTHENTICATE, _BIND = "initiateAuthentication", "authenticateClient", "getBoundProfilePackage"
_UNSIGNED = ("unsigned error",)
_BROKE = "connection broke|association ended"
"""Over HTTPS, over CoAPS."""
_NO_MESSAGE = "no TLV|has the tag|no JSON"
"""In the ASN.1 binding, in the JSON binding."""


def _package(name: str, kind: str, *words: str, **parameters: object) -> Row:
    """Return a row of a package that is never carried out and ends its order."""
    return Row(name, ({"name": kind, **parameters},), "enable", "failed", words)


def _download(name: str, kind: str, function: str, *words: str, **parameters: object) -> Row:
    """Return a row of a download that ends with its order failed."""
    return Row(name, ({"name": kind, "function": function, **parameters},), "download", "failed", words)


TABLE = (
    # --- packages that the eUICC must refuse (SGP.32 sections 2.11.1.1 and 5.9.1)
    _package("wrong-signature", "package-signature", *_UNSIGNED),
    _package("foreign-signature", "package-signature", *_UNSIGNED, form="foreign"),
    _package("der-signature", "package-signature", *_UNSIGNED, form="der"),
    _package("wrong-token", "package-signature", *_UNSIGNED, form="token"),
    _package("wrong-eid", "wrong-eid", "invalidEid"),
    _package("wrong-eim-id", "wrong-eim-id", "answered for the eIM eim.example"),
    _package("old-counter-always", "wrong-counter", "replayError", count=0),
    _package("counter-too-high-always", "wrong-counter", "counterValueOutOfRange", counter="beyond", count=0),
    _package("truncated-package", "truncated-package", "invalidPackageFormat"),
    Row("oversized-package", ({"name": "oversized-package"},), "enable", "failed", ("sizeOverflow",),
        costs=Budget(300, 100_000, 120.0)),  # 40 kB to the card, in chains of 255 bytes
    _package("two-lists", "two-lists", *_UNSIGNED),
    _package("unknown-command", "unknown-command", "unknownOrDamagedCommand"),
    _package("unknown-package", "unknown-package", "unknownPackage"),
    # --- what is retried by rule, and done in the end
    Row("old-counter-once", ({"name": "wrong-counter"},), "list", "done", ("replayError",)),
    Row("counter-too-high-once", ({"name": "wrong-counter", "counter": "beyond"},), "list", "done",
        ("counterValueOutOfRange",)),
    Row("old-package", ({"name": "old-package"},), "list", "done", ("replayError",)),
    Row("old-package-for-ever", ({"name": "old-package", "count": 0},), "list", "done",
        poll="handed out the same package 4 times", at_once=False),
    Row("no-acknowledgement", ({"name": "no-acknowledgement"},), "list", "done", waits=True),
    Row("foreign-acknowledgement", ({"name": "foreign-acknowledgement"},), "list", "done", waits=True),
    Row("result-refused", ({"name": "error", "function": _RESULT},), "list", "done"),
    Row("result-unheard", ({"name": "drop", "function": _RESULT, "when": "before", "count": 0},), "list", "done",
        poll=_BROKE, at_once=False, waits=True),
    Row("result-unanswered", ({"name": "drop", "function": _RESULT},), "list", "done"),
    # --- the poll and its connection
    Row("late", ({"name": "delay", "seconds": 0.2},), "list", "done"),
    Row("drop-once", ({"name": "drop"},), "list", "done"),
    Row("drop-always", ({"name": "drop", "count": 0},), "list", "done", poll=_BROKE, at_once=False),
    Row("busy-once", ({"name": "http-status", "status": 503, "function": _POLL},), "list", "done"),
    Row("not-found", ({"name": "http-status", "status": 404, "function": _POLL},), "list", "done",
        poll="HTTP 404|CoAP 4.04", at_once=False),
    Row("cut-answer", ({"name": "cut", "function": _POLL},), "list", "done"),
    Row("truncated-answer", ({"name": "truncated", "function": _POLL},), "list", "done",
        poll=_NO_MESSAGE, at_once=False),
    Row("oversized-answer", ({"name": "oversized", "function": _POLL},), "list", "done",
        poll="longer than", at_once=False),
    Row("garbage", ({"name": "garbage", "function": _POLL},), "list", "done", poll=_NO_MESSAGE,
        at_once=False),
    Row("empty-answer", ({"name": "empty", "function": _POLL},), "list", "done", poll=_NO_MESSAGE, at_once=False),
    Row("eid-not-found", ({"name": "error", "function": _POLL, "code": 2},), "list", "done",
        poll="eidNotFound", at_once=False),
    Row("unknown-error", ({"name": "error", "function": _POLL, "code": 99},), "list", "done",
        poll="answered 99", at_once=False),
    Row("another-media-type", ({"name": "content-type", "function": _POLL},), "list", "done"),
    Row("stale-answer", ({"name": "stale-answer", "function": _POLL},), "list", "done", at_once=False),
    Row("expired-certificate", ({"name": "expired-certificate", "count": 0},), "list", "done"),  # the key is pinned
    Row("foreign-certificate", ({"name": "foreign-certificate", "count": 0},), "list", "done",
        poll="not trusted", at_once=False),
    # --- the eIM between IPA and SM-DP+
    _download("relay-changes-server-signed", "relay-changed", _INITIATE, "AuthenticateServer: invalidSignature"),
    _download("relay-changes-smdp-signed", "relay-changed", _AUTHENTICATE, "PrepareDownload: invalidSignature"),
    _download("relay-changes-package", "relay-changed", _BIND, "loadProfileElements: scp03tSecurityError"),
    _download("initiation-of-another-session", "wrong-transaction-id", _INITIATE,
              "the eIM answered for the transaction"),
    _download("authentication-of-another-session", "wrong-transaction-id", _AUTHENTICATE,
              "the eIM answered for the transaction", "cancelled the session"),
    _download("package-of-another-session", "wrong-transaction-id", _BIND,
              "the eIM answered for the transaction", "cancelled the session"),
    _download("matching-id-refused", "error", _AUTHENTICATE, "matchingIdRefused", code=6),
    _download("metadata-mismatch", "error", _BIND, "cancelled the session: metadataMismatch", code=50),
    _download("truncated-bpp", "truncated", _BIND, _NO_MESSAGE, "cancelled the session", octets=500),
    _download("oversized-bpp", "oversized", _BIND, "longer than", "cancelled the session"),
    Row("download-refused-once", ({"name": "error", "function": _INITIATE},), "download", "done", ("undefinedError",)),
    Row("drop-in-authentication", ({"name": "drop", "function": _AUTHENTICATE},), "download", "done",
        poll=_BROKE, at_once=False),
    Row("drop-before-package", ({"name": "drop", "function": _BIND},), "download", "done",
        poll=_BROKE, at_once=False),
    Row("notification-unanswered", ({"name": "drop", "function": "handleNotification"},), "download", "done"),
)  # fmt: skip


@recipe(
    title="Negative eIM",
    needs=("power", "modem", "card", "data", "eim", "smdpp", "ipa", "eim:misbehaviour"),
    effects=("switches-profile", "deletes-profile", "consumes-profile"),
)
async def negative_eim(
    station: Station,
    rows: str = "",
    profiles: Profiles = Profiles(),
    deadlines: Deadlines = Deadlines(),
) -> None:
    """Let the bundled eIM misbehave in every way, and require the reaction that each must have.

    Each row of the table is a step: an order is placed, the eIM told what to do wrong, the IPA polls; then the eIM
    behaves again and the IPA polls once more. Judged are the card itself (profiles, eIMs, what waits for delivery), the
    order (ended or retried by rule, verified, its words), the IPA's error (never blamed on the device) and the number
    of requests and APDUs (no exchange without end). ``rows``: names, comma-separated; empty: all. After all of them a
    package and a download must pass as ever. SGP.32 sections 2.11, 3.1.1.1, 3.2.3.2, 5.9.1 and 5.14.
    """
    wanted = chosen(TABLE, rows)
    job = Job(station, profiles, deadlines)
    begin = await start.reach(job)
    server = misbehaves(station.eim, "eIM")
    # A new eUICC is asked for its certificates before its first package: what misbehaves is to be that package.
    await job.carry_out("signed-list", await station.eim.order_list(job.eid), "listProfileInfo")
    negative = Negative(job, server, begin.bootstrap.iccid, begin.target)
    await negative.run(wanted)
    await negative.as_ever()
