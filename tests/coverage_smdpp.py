"""What the SM-DP+ can be asked and can answer on ES9+ and ES2+, item by item, and which tests make it do so.

The items come from the tables that the functions themselves answer by (fixtures.smdpp.status, es9_asn1) and from the
numbers of the ASN.1 text; ``Watch`` looks at the real functions in every test of this process. A status that a function
gives beside its table is an item without a name, which makes a run fail.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

Note = Callable[[str], None]

ASN1_ERRORS = {
    "initiateAuthentication": "InitiateAuthenticationResponse.initiateAuthenticationError",
    "authenticateClient": "AuthenticateClientResponseEs9.authenticateClientError",
    "getBoundProfilePackage": "GetBoundProfilePackageResponse.getBoundProfilePackageError",
    "cancelSession": "CancelSessionResponseEs9.cancelSessionError",
}
EVENTS = ("install", "enable", "disable", "delete")
POINTS = {
    1: ("Executed-Success", "Failed 8.8.5/6.4", "Failed 8.1/4.8", "Failed 8.2.5/4.3"),
    2: ("Failed 8.2.7/6.4",),
    3: ("Executed-Success", "Failed 8.8.5/3.8", "Failed 8.2.8/1.2", "Failed 8.2.9/3.11", "Failed 8/4.2"),
    4: ("Executed-Success", "Failed 8.2.10/4.2"),
}
"""notificationPointId: what an operator is told with it in the bench's own reading."""


@functools.cache
def required() -> dict[str, str]:
    """Return every item with its function."""
    from bench.rsp.asn1.schema import NUMBERS
    from fixtures.smdpp import lifecycle
    from fixtures.smdpp.status import REFUSALS

    numbers = NUMBERS["RSPDefinitions"]
    items: dict[str, str] = {}
    for function, codes in REFUSALS.items():
        interface = "ES2+" if _of_es2(function) else "ES9+"
        items[f"{interface} {function}: Executed-Success"] = function
        items |= {f"{interface} {function}: {_code(code)}": function for code in sorted(codes, key=_order)}
        if interface == "ES9+":
            items[f"ES9+ {function} in ASN.1"] = function
    for function, path in ASN1_ERRORS.items():
        items |= {f"ES9+ {function} in ASN.1: {n} {name}": function for n, name in numbers[path].items()}
    items |= {f"ES9+ cancelSession reason {n} {name}": "cancelSession" for n, name in _reasons().items()}
    for event in EVENTS:
        items[f"ES9+ handleNotification {event}"] = "handleNotification"
    items["ES9+ handleNotification that is not believed"] = "handleNotification"
    items |= {
        f"ES9+ handleNotification error {n} {name}": "handleNotification" for n, name in numbers["ErrorReason"].items()
    }
    for point, told in POINTS.items():
        items |= {f"ES2+ handleDownloadProgressInfo {point}: {what}": "handleDownloadProgressInfo" for what in told}
    items |= {f"life cycle: {state}": "life cycle" for state in lifecycle.STATES}
    return items


def _reasons() -> dict[int, str]:
    from bench.rsp.asn1.schema import NUMBERS

    return NUMBERS["RSPDefinitions"]["CancelSessionReason"]


def _of_es2(function: str) -> bool:
    return function in ("downloadOrder", "confirmOrder", "releaseProfile", "cancelOrder")


def _code(code: Any) -> str:
    return f"{code.subject}/{code.reason}"


def _order(code: Any) -> list[int]:
    return [int(part) for part in f"{code.subject}.{code.reason}".split(".")]


class Watch:
    """Wraps the functions of the SM-DP+ once a test module has imported them; ``undo`` takes it back."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._undo: list[Callable[[], None]] = []

    @property
    def attached(self) -> bool:
        """Whether the functions are wrapped."""
        return bool(self._undo)

    def attach(self) -> None:
        """Wrap what has been imported."""
        if self._undo or "fixtures.smdpp.es9_asn1" not in sys.modules or "fixtures.smdpp.es2" not in sys.modules:
            return
        from fixtures.smdpp import es9_asn1
        from fixtures.smdpp.es2 import Es2
        from fixtures.smdpp.es9 import Es9
        from fixtures.smdpp.progress import Progress
        from fixtures.smdpp.store import Store

        self._wrap(Es9, "call", self._es9)
        self._wrap(Es2, "call", self._es2)
        self._wrap(es9_asn1, "call", self._asn1)
        self._wrap(Progress, "_write", self._progress)
        self._wrap(Store, "_remember", self._state)
        self._wrap(Es9, "_cancel_order", self._cancel)
        self._wrap(Store, "add_notification", self._notification)

    def undo(self) -> None:
        """Put the functions back."""
        while self._undo:
            self._undo.pop()()

    def _wrap(self, owner: Any, name: str, watch: Callable[..., Any]) -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        def wrapped(*arguments: Any, **more: Any) -> Any:
            return watch(original, *arguments, **more)

        setattr(owner, name, wrapped)
        self._undo.append(lambda: setattr(owner, name, original))

    def _called(self, interface: str, function: str, call: Callable[[], Any], *, told: bool = False) -> Any:
        """``told``: the server may have been told to misbehave; what it answers beside its table is no fault then."""
        from fixtures.smdpp.status import REFUSALS, Refusal

        try:
            result = call()
        except Refusal as refusal:
            known = refusal.code in REFUSALS[function]
            if told and not known:
                raise
            self._note(f"{interface} {function}: {_code(refusal.code)}{'' if known else ' (no name)'}")
            raise
        self._note(f"{interface} {function}: Executed-Success")
        return result

    def _es9(self, original: Any, es9: Any, function: str, body: Any) -> Any:
        return self._called("ES9+", function, lambda: original(es9, function, body), told=es9.around is not None)

    def _es2(self, original: Any, es2: Any, function: str, operator: Any, body: Any) -> Any:
        return self._called("ES2+", function, lambda: original(es2, function, operator, body))

    def _asn1(self, original: Any, es9: Any, data: bytes) -> Any:
        from bench.rsp import tlv
        from bench.rsp.asn1.schema import NUMBERS
        from fixtures.smdpp import es9_asn1

        answer = original(es9, data)
        function, _ = es9_asn1.function_of(data)
        self._note(f"ES9+ {function} in ASN.1")
        if isinstance(answer, bytes):
            choice = tlv.first(answer).children()[0].children()[0]
            if choice.tag == 0x81:
                number = int.from_bytes(choice.value, "big")
                name = NUMBERS["RSPDefinitions"][ASN1_ERRORS[function]].get(number, "(no name)")
                self._note(f"ES9+ {function} in ASN.1: {number} {name}")
        return answer

    def _progress(self, original: Any, progress: Any, order: Any, point: int, status: Any, **more: Any) -> Any:
        data = status.get("statusCodeData", {})
        codes = f" {data['subjectCode']}/{data['reasonCode']}" if data else ""
        self._note(f"ES2+ handleDownloadProgressInfo {int(point)}: {status['status']}{codes}")
        return original(progress, order, point, status, **more)

    def _state(self, original: Any, store: Any, order_id: int, state: str, why: str) -> Any:
        self._note(f"life cycle: {state}")
        return original(store, order_id, state, why)

    def _cancel(self, original: Any, es9: Any, session: Any, reason: int) -> Any:
        if reason in _reasons():
            self._note(f"ES9+ cancelSession reason {reason} {_reasons()[reason]}")
        return original(es9, session, reason)

    def _notification(self, original: Any, store: Any, digest: str, notification: Any) -> Any:
        if notification.rejected:
            self._note("ES9+ handleNotification that is not believed")
        else:
            self._note(f"ES9+ handleNotification {notification.event}")
            self._error(notification.result)
        return original(store, digest, notification)

    def _error(self, result: str) -> None:
        from bench.rsp.asn1.schema import NUMBERS

        for number, name in NUMBERS["RSPDefinitions"]["ErrorReason"].items():
            if result.startswith(f"{name} "):
                self._note(f"ES9+ handleNotification error {number} {name}")
