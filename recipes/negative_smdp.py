"""An SM-DP+ that does everything wrong: each misbehaviour, and what card, IPA, eIM and order must make of it."""

from __future__ import annotations

from bench.engine.recipe import Station, recipe
from recipes import start
from recipes.job import Job
from recipes.misbehaviours import Row
from recipes.negative import Negative, chosen, misbehaves
from recipes.parameters import Deadlines, Profiles

_INITIATE, _AUTHENTICATE, _BIND = "initiateAuthentication", "authenticateClient", "getBoundProfilePackage"


def _failed(name: str, kind: str, function: str, *words: str, server: str = "", **parameters: object) -> Row:
    """Return a row of a download that ends with its order failed; ``server``: the SM-DP+'s order."""
    told = {"name": kind, **({"function": function} if function else {}), **parameters}
    return Row(name, (told,), "download", "failed", words, server=server)


def _done(name: str, kind: str, function: str = "", **parameters: object) -> Row:
    """Return a row of a download that is done all the same."""
    told = {"name": kind, **({"function": function} if function else {}), **parameters}
    return Row(name, (told,), "download", "done", server="installed")


TABLE = (
    # --- InitiateAuthentication (SGP.22 sections 5.6.1 and 5.7.13)
    _failed("refused-at-initiation", "status", _INITIATE, "8.1/4.8", server="released"),
    _failed("wrong-server-signature", "signature", _INITIATE, "AuthenticateServer: invalidSignature",
            server="released"),
    _failed("foreign-server-signature", "signature", _INITIATE, "AuthenticateServer: invalidSignature",
            server="released", form="foreign"),
    _failed("der-server-signature", "signature", _INITIATE, "AuthenticateServer: invalidSignature",
            server="released", form="der"),
    _failed("expired-auth-certificate", "certificate", _INITIATE, "AuthenticateServer: invalidCertificate",
            server="released"),
    _failed("foreign-auth-certificate", "certificate", _INITIATE, "AuthenticateServer: invalidCertificate",
            server="released", form="foreign"),
    _failed("auth-certificate-of-another-role", "certificate", _INITIATE, "AuthenticateServer: invalidCertificate",
            server="released", form="role"),
    _failed("wrong-challenge", "wrong-challenge", "", "euiccChallengeMismatch", server="released"),
    _failed("wrong-address", "wrong-address", "", "signs for the address other.example", server="released"),
    _failed("wrong-transaction", "wrong-transaction-id", _INITIATE, "8.10.1", server="released"),
    _failed("stale-initiation", "stale-answer", _INITIATE, "euiccChallengeMismatch", server="released"),
    # --- AuthenticateClient (sections 5.6.3 and 5.7.5)
    _failed("matching-id-refused", "status", _AUTHENTICATE, "matchingIdRefused", server="released",
            subject="8.2.6", reason="3.8"),
    _failed("no-memory", "status", _AUTHENTICATE, "insufficientMemory", server="released"),
    _failed("unknown-status", "status", _AUTHENTICATE, "9.9/9.9", server="released", subject="9.9", reason="9.9"),
    _failed("wrong-smdp-signature", "signature", _AUTHENTICATE, "PrepareDownload: invalidSignature",
            server="released"),
    _failed("foreign-smdp-signature", "signature", _AUTHENTICATE, "PrepareDownload: invalidSignature",
            server="released", form="foreign"),
    _failed("der-smdp-signature", "signature", _AUTHENTICATE, "PrepareDownload: invalidSignature",
            server="released", form="der"),
    _failed("expired-binding-certificate", "certificate", _AUTHENTICATE, "PrepareDownload: invalidCertificate",
            server="released"),
    _failed("foreign-binding-certificate", "certificate", _AUTHENTICATE, "PrepareDownload: invalidCertificate",
            server="released", form="foreign"),
    _failed("binding-certificate-of-another-role", "certificate", _AUTHENTICATE,
            "PrepareDownload: invalidCertificate", server="released", form="role"),
    _failed("binding-certificate-of-another-server", "certificate", _AUTHENTICATE,
            "PrepareDownload: invalidCertificate", server="released", form="oid"),
    _failed("wrong-transaction-signed", "wrong-transaction-id", _AUTHENTICATE,
            "PrepareDownload: invalidTransactionId", server="released"),
    _failed("code-asked-for", "code-asked-for", "", "PrepareDownload: undefinedError", server="released"),
    _failed("other-metadata", "metadata", "", "cancelled the session: metadataMismatch", server="error"),
    # --- GetBoundProfilePackage (sections 2.5, 5.6.2 and 5.7.6)
    _failed("refused-at-binding", "status", _BIND, "8.1/4.8", server="error"),
    _failed("wrong-channel-signature", "signature", _BIND, "initialiseSecureChannel: invalidSignature",
            server="error"),
    _failed("der-channel-signature", "signature", _BIND, "initialiseSecureChannel: invalidSignature",
            server="error", form="der"),
    _failed("other-one-time-key", "bpp", _BIND, "initialiseSecureChannel: invalidSignature", server="error",
            form="key"),
    _failed("wrong-transaction-bound", "wrong-transaction-id", _BIND,
            "initialiseSecureChannel: invalidTransactionId", server="error"),
    _failed("old-package", "old-bpp", _BIND, "initialiseSecureChannel: invalidTransactionId", server="error"),
    _failed("bound-for-another-eid", "bpp", _BIND, "configureISDP: scp03tSecurityError", server="error", form="eid"),
    _failed("wrong-mac", "bpp", _BIND, "loadProfileElements: scp03tSecurityError", server="error"),
    _failed("truncated-package", "bpp", _BIND, "scp03tStructureError|cancelled the session", server="error",
            form="short"),
    _failed("no-package", "bpp", _BIND, "is not one TLV BF36", server="error", form="nested"),
    # --- the connection, and what is no answer
    _failed("truncated-answer", "truncated", _BIND, "is missing or no base64|no JSON object", server="error",
            octets=400),
    _failed("cut-answer", "cut", _BIND, "payload is not completed", server="error", octets=500),
    _failed("oversized-answer", "oversized", _INITIATE, "longer than", server="released"),
    _failed("garbage", "garbage", _INITIATE, "no JSON object", server="released"),
    _failed("empty-answer", "empty", _INITIATE, "serverSigned1 is missing", server="released"),
    _failed("server-error", "http-status", _AUTHENTICATE, "HTTP 500", server="released"),
    _failed("drop-always", "drop", _INITIATE, "cannot be reached", server="released", count=0),
    _failed("expired-tls-certificate", "expired-certificate", "", "certificate has expired", server="released",
            count=0),
    _failed("foreign-tls-certificate", "foreign-certificate", "", "is not trusted", server="released", count=0),
    # --- what is tolerated or tried again, and done in the end
    _done("bare-values", "bare-values", count=0),
    _done("late", "delay", seconds=0.2),
    _done("drop-once", "drop", _INITIATE),
    _done("authentication-unanswered", "drop", _AUTHENTICATE),
    _done("package-unanswered", "drop", _BIND),
    _done("notification-unanswered", "drop", "handleNotification"),
    _done("notification-refused", "status", "handleNotification"),
)  # fmt: skip


@recipe(
    title="Negative SM-DP+",
    needs=("power", "modem", "card", "data", "eim", "smdpp", "ipa", "smdpp:misbehaviour"),
    effects=("switches-profile", "deletes-profile", "consumes-profile"),
)
async def negative_smdp(
    station: Station,
    rows: str = "",
    profiles: Profiles = Profiles(),
    deadlines: Deadlines = Deadlines(),
) -> None:
    """Let the bundled SM-DP+ misbehave in every way, and require the reaction that each must have.

    Each row of the table is a step: a download is ordered, the SM-DP+ told what to do wrong, the IPA polls; then the
    SM-DP+ behaves again and the IPA polls once more. Judged are the card itself (nothing of the profile may be on it,
    nothing may wait), the eIM's order (ended or retried by rule, with the words of whom it failed at), the SM-DP+'s own
    order and the number of requests and APDUs (no exchange without end). ``rows``: names, comma-separated; empty: all.
    After all of them a package and a download must pass as ever. SGP.22 sections 3.1, 5.6 and 5.7, SGP.32 3.2.3.2.
    """
    wanted = chosen(TABLE, rows)
    job = Job(station, profiles, deadlines)
    begin = await start.reach(job)
    server = misbehaves(station.smdpp, "SM-DP+")
    negative = Negative(job, server, begin.bootstrap.iccid, begin.target)
    await negative.as_ever(step_name="before")  # an earlier session, whose answers come again
    await negative.run(wanted)
    await negative.as_ever()
