"""curl against the bench's servers, and what it says of an exchange."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .foreign import Bench, run

ESIPA = "/gsma/rsp2/asn1"
ES9PLUS = "/gsma/rsp2/es9plus/"
ESIPA_TYPE = "application/x-gsma-rsp-asn1"


@dataclass(frozen=True)
class Answer:
    """One answer; ``headers`` with names in lower case. ``variables``: curl's ``--write-out`` variables."""

    status: int
    version: str
    headers: dict[str, str]
    body: bytes
    variables: dict[str, Any]


def curl(url: str, *arguments: str, data: bytes | None = None, deadline: float = 15.0) -> Answer:
    """Send one request. ``data`` is the body of a POST, as it is."""
    # The header block goes before the body, and curl's own report behind it, apart by a line that no body has.
    mark = "\n----- written by curl -----\n"
    command = ["curl", "--silent", "--show-error", "--noproxy", "*", "--include", "--write-out", f"{mark}%{{json}}"]
    if data is not None:
        command += ["--data-binary", "@-"]
    output = run(*command, *arguments, url, data=data or b"", deadline=deadline).stdout
    content, _, report = output.rpartition(mark.encode())
    variables = json.loads(report)
    while True:
        head, _, body = content.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        version, status = first.split(" ")[:2]
        if status != "100" and not (status == "200" and "Connection established" in first):
            break
        content = body
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(status), version, headers, body, variables)


def tls(bench: Bench, service: str) -> list[str]:
    """Return the arguments that lead a service's name to its port, with the announced CA as only trust anchor."""
    name, port = bench.server(service)
    return ["--resolve", f"{name}:{port}:127.0.0.1", "--cacert", str(bench.ca)]


def esipa(bench: Bench, message: bytes | str, *arguments: str, path: str = ESIPA) -> Answer:
    """Send one message to the eIM as an IPA does (SGP.32 section 6.1)."""
    name, port = bench.server("eim")
    body = bytes.fromhex(message) if isinstance(message, str) else message
    headers = ["-H", f"Content-Type: {ESIPA_TYPE}", "-H", "X-Admin-Protocol: gsma/rsp/v2.1.0", "-A", "gsma-rsp-ipad"]
    return curl(f"https://{name}:{port}{path}", *tls(bench, "eim"), *headers, *arguments, data=body)


def es9plus(bench: Bench, function: str, body: bytes | dict[str, Any], *arguments: str) -> Answer:
    """Call one function of the SM-DP+ as an LPA does (SGP.22 section 6.5)."""
    name, port = bench.server("smdpp")
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = ["-H", "Content-Type: application/json", "-H", "X-Admin-Protocol: gsma/rsp/v2.2.2", "-A", "gsma-rsp-lpad"]
    return curl(f"https://{name}:{port}{ES9PLUS}{function}", *tls(bench, "smdpp"), *headers, *arguments, data=data)


def operator(bench: Bench, service: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """Ask the operator's side of a service; return its JSON."""
    base = bench.announcement[service]["operator" if service == "eim" else "admin"]
    answer = curl(
        base + path,
        *("-X", method, "-H", f"Authorization: Bearer {bench.token(service)}", "-H", "Content-Type: application/json"),
        data=json.dumps(body or {}).encode() if method != "GET" else None,
    )
    assert answer.status in (200, 201), answer
    return json.loads(answer.body)
