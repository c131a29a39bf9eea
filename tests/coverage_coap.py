"""What CoAP adds to ESipa (SGP.32 section 6.2), item by item, and what of it each test made eIM and IPA say.

Methods, Uri-Path, Content-Format, codes of answers and bodies in blocks, at the eIM's handler and at the IPA's client;
which function goes over CoAPS in which binding is counted with the functions (coverage_esipa.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

from bench.rsp import esipa_json

TRANSPORT: ContextVar[str] = ContextVar("transport", default="")
"""What carries the message that is looked at: HTTPS, CoAPS, or nothing."""

ASN1 = "gsma/rsp2/asn1"
PATHS = (
    ASN1,
    *(f"gsma/rsp2/esipa/{function}" for function in esipa_json.FUNCTIONS if function != "transferEimPackage"),
)
FORMATS = {0: "text/plain", 40: "link-format", 42: "octet-stream", 50: "JSON"}
REQUEST = (
    "POST",
    *(f"Uri-Path {path}" for path in PATHS),
    "request without Content-Format",
    "request in blocks with Request-Tag",
)
ANSWERS = ("2.04 with a message", "2.04 without one, to handleNotification", "answer without Content-Format")
OTHER_READINGS = ("2.05 with a message", "answer with Content-Format octet-stream")
OF_THE_EIM = (
    "request with Content-Format octet-stream",
    "request with Content-Format JSON",
    "GET of .well-known/core: 2.05",
    "2.31 Continue",
    "4.00 Bad Request",
    "4.02 Bad Option",
    "4.04 Not Found",
    "4.05 Method Not Allowed",
    "4.06 Not Acceptable",
    "4.08 Request Entity Incomplete",
    "4.13 Request Entity Too Large",
    "4.15 Unsupported Content Format",
    "5.05 Proxying Not Supported",
    "answer in blocks",
)
OF_THE_IPA = ("4.04 Not Found", "5.00 Internal Server Error", "5.03 Service Unavailable", "answer in blocks")


def required() -> dict[str, str]:
    """Return every item with what it belongs to."""
    both = (*REQUEST, *ANSWERS, *OTHER_READINGS)
    items = {f"CoAP, eIM: {what}": "CoAP" for what in (*both, *OF_THE_EIM)}
    return items | {f"CoAP, IPA: {what}": "CoAP" for what in (*both, *OF_THE_IPA)}


def of_request(
    method: str, path: str, content_format: int | None, *, blocks: bool = False, tagged: bool = False
) -> Iterator[str]:
    """Yield the items of a request."""
    yield method
    yield f"Uri-Path {path}"
    told = "without Content-Format" if content_format is None else f"with Content-Format {_format(content_format)}"
    yield f"request {told}"
    if blocks and tagged:
        yield "request in blocks with Request-Tag"


def of_answer(
    method: str, path: str, code: str, payload: bytes, content_format: int | None, *, blocks: bool = False
) -> Iterator[str]:
    """Yield the items of an answer. ``code`` with its name, as "4.04 Not Found"."""
    number = code.partition(" ")[0]
    if path == ".well-known/core" and method == "GET":
        yield f"GET of {path}: {number}"
    if path not in PATHS or not number.startswith("2") or number == "2.31":
        yield code
        return
    yield f"{number} with a message" if payload else f"{number} without one, to handleNotification"
    if payload:
        yield (
            "answer without Content-Format"
            if content_format is None
            else (f"answer with Content-Format {_format(content_format)}")
        )
    if blocks:
        yield "answer in blocks"


def _format(number: int) -> str:
    return FORMATS.get(int(number), str(int(number)))


def of_messages(request: Any, answer: Any, path: str) -> Iterator[str]:
    """Yield the items of two messages of aiocoap's."""
    options, method = request.opt, request.code.name
    yield from of_request(
        method,
        path,
        options.content_format,
        blocks=options.block1 is not None,
        tagged=bool(options.request_tag),
    )
    code = f"{answer.code.dotted} {answer.code.name_printable}"
    blocks = answer.opt.block2 is not None
    yield from of_answer(method, path, code, answer.payload, answer.opt.content_format, blocks=blocks)


def watch_eim(note: Callable[[str], None]) -> Callable[[], None]:
    """Look at the messages of servers whose handler is the eIM's."""
    from fixtures.coaps.server import Site
    from fixtures.eim import coap

    original, answer = coap.handler, Site.answer
    of_the_eim: set[Any] = set()

    def handler(*given: Any, **more: Any) -> Any:
        inner = original(*given, **more)

        async def handle(request: Any, body: bytes) -> Any:
            TRANSPORT.set("CoAPS")
            return await inner(request, body)

        of_the_eim.add(handle)
        return handle

    async def answered(site: Site, request: Any) -> Any:
        made = await answer(site, request)
        if site._handler in of_the_eim:
            path = "/".join(part for part in request.opt.uri_path if part)
            for item in of_messages(request, made, path):
                note(f"CoAP, eIM: {item}")
        return made

    setattr(coap, "handler", handler)  # noqa: B010
    setattr(Site, "answer", answered)  # noqa: B010

    def undo() -> None:
        setattr(coap, "handler", original)  # noqa: B010
        setattr(Site, "answer", answer)  # noqa: B010

    return undo


def watch_ipa(note: Callable[[str], None]) -> Callable[[], None]:
    """Look at the messages that the IPA's client sends and gets."""
    from fixtures.coaps.client import Client

    original = Client._request

    async def request(client: Client, message: Any) -> Any:
        answer = await original(client, message)
        if TRANSPORT.get() == "CoAPS":
            for item in of_messages(message, answer, "/".join(message.opt.uri_path)):
                note(f"CoAP, IPA: {item}")
        return answer

    setattr(Client, "_request", request)  # noqa: B010
    return lambda: setattr(Client, "_request", original)
