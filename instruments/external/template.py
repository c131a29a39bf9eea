"""The template of the adapter ``rest``: how one operator's REST interface is spoken to, in TOML.

recipes/external_eim.toml and recipes/external_smdpp.toml explain every key. Secrets are in no template: it names the
file or the environment variable that has them.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from bench.errors import ConfigurationError
from bench.station.external import Role
from bench.station.interfaces import EIM_COMMANDS
from bench.station.tables import Bounds, Document, build, did_you_mean
from instruments.external import pointer
from instruments.external.filling import Part, names_in, read_part
from instruments.external.rules import EIM_STATES, EVENTS, REQUIRED, RULES, SMDPP_STATES, Rule

Repeat = Literal["never", "safe", "key"]


@dataclass(frozen=True, slots=True)
class Server:
    """``[server]``. Times in seconds."""

    url: str
    ca: str = ""
    pin: str = ""
    client_certificate: str = ""
    client_key: str = ""
    token_file: str = ""
    token_env: str = ""
    token_header: str = "Authorization"
    token_form: str = "Bearer {token}"
    timeout: Annotated[float, Bounds(0.1, 600.0, "s")] = 10.0
    retries: Annotated[int, Bounds(0, 20)] = 3
    retry_after: Annotated[float, Bounds(0.0, 60.0, "s")] = 0.5
    settle: Annotated[float, Bounds(0.0, 600.0, "s")] = 10.0
    reason: str = ""
    success: str = ""
    success_is: tuple[str, ...] = ()
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """``[operations.NAME]``: one call."""

    name: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: Part
    body: Part | None
    query: Part
    headers: Part
    repeat: Repeat
    accept: tuple[int, ...]
    """Status codes beside 2xx that are good."""
    answer: Mapping[str, pointer.Tokens]
    origin: str


@dataclass(frozen=True, slots=True)
class Template:
    """A template that was read."""

    role: Role
    server: Server
    operations: Mapping[str, Operation]
    states: Mapping[str, str]
    events: Mapping[str, str]
    values: Mapping[str, str]
    profiles: Mapping[str, str]
    judge_without: tuple[str, ...]
    origin: str

    @property
    def abilities(self) -> frozenset[str]:
        """Which of EIM_ABILITIES, SMDPP_ABILITIES it offers."""
        found = set(self.operations)
        if "package" in found:
            found |= set(EIM_COMMANDS)
        return frozenset(found)

    def state(self, told: object, where: str) -> str:
        """Return the bench's word for a state of the server. Raises ConfigurationError that says what to add."""
        text = str(told).lower() if isinstance(told, bool) else str(told)
        found = self.states.get(text, self.states.get("*"))
        if found is None:
            words = ", ".join(EIM_STATES if self.role == "eim" else SMDPP_STATES)
            raise ConfigurationError(
                f"the server tells the state '{text[:80]}', which the template does not know",
                where=where,
                hint=f"add it to [states] of {self.origin}: one of {words}",
            )
        return found


_WAIVABLE: Final = {"eim": ("state",), "smdpp": ("state", "notifications")}
_TABLES: Final = ("server", "operations", "states", "events", "values", "profiles", "judge_without")
_SECRET: Final = re.compile(r"(?i)(token|password|passwd|secret|api[-_]?key|authorization|credential)")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


def load(path: Path, role: Role) -> Template:
    """Read a template file. Raises ConfigurationError that names file and line of everything that is wrong."""
    return read(Document.read(path), role, path.parent)


def read(document: Document, role: Role, base: Path) -> Template:
    """Return the template in a document; its files are seen from ``base``. Raises ConfigurationError."""
    table = document.table
    for key in table:
        if key not in _TABLES:
            document.complain((key,), f"unknown table [{key}]", did_you_mean(key, _TABLES))
    server = _server(table.get("server"), document, base)
    values = _texts(table, "values", document)
    for name in values:
        if not _NAME.fullmatch(name):
            document.complain(("values", name), f"'{name}' is no name", "small letters, digits and '_'")
        elif _SECRET.search(name):
            document.complain(("values", name), "secrets do not belong into a template", "token_file or token_env")
    words = EIM_STATES if role == "eim" else SMDPP_STATES
    states = _words(table, "states", words, document)
    events = _words(table, "events", EVENTS, document)
    profiles = _texts(table, "profiles", document)
    if role == "eim" and "profiles" in table:
        document.complain(("profiles",), "[profiles] is of an SM-DP+", "drop it")
    operations = _operations(table.get("operations"), role, values, document)
    if role == "eim" and "show" in operations and not states:
        document.complain((), "[states] is missing", 'such as [states] COMPLETED = "done"')
    waived = _waived(table, role, document)
    document.check()
    assert server is not None
    return Template(role, server, operations, states, events, values, profiles, waived, document.name)


def _server(table: object, document: Document, base: Path) -> Server | None:
    path = ("server",)
    if table is None:
        document.complain((), "[server] is missing", 'with url = "https://..."')
        return None
    if isinstance(table, dict):
        for key in table:
            if key in ("token", "password", "secret", "bearer", "username"):
                document.complain((*path, key), "secrets do not belong into a template", "token_file or token_env")
        table = {key: value for key, value in table.items() if key not in ("token", "password", "secret", "bearer")}
    server: Server | None = build(Server, table, path, document)
    if server is None:
        return None
    parts = _split(server.url)
    if parts is None:
        document.complain((*path, "url"), f"'{server.url[:200]}' is no address", 'url = "https://host:port/base"')
    elif parts.username or parts.password:
        document.complain((*path, "url"), "an address with a password in it", "token_file or token_env")
    elif parts.query or parts.fragment:
        document.complain((*path, "url"), "an address with a query", "write it as query of the operations")
    elif parts.scheme == "http" and (parts.hostname or "") not in ("127.0.0.1", "::1", "localhost"):
        document.complain((*path, "url"), "tokens and orders would go over the network in clear", "https://")
    if server.token_file and server.token_env:
        document.complain((*path, "token_env"), "'token_file' and 'token_env' exclude each other", "drop one")
    if bool(server.client_certificate) != bool(server.client_key):
        document.complain(path, "client_certificate and client_key belong together", "give both, PEM")
    if server.pin and pin_of(server.pin) is None:
        hint = "sha256: and 64 hexadecimal digits of the public key (SubjectPublicKeyInfo)"
        document.complain((*path, "pin"), f"'{server.pin[:100]}' is no pin", hint)
    if "{token}" not in server.token_form:
        document.complain((*path, "token_form"), "the token has no place in it", 'such as "Bearer {token}"')
    if not re.fullmatch(r"[A-Za-z0-9-]{1,60}", server.token_header):
        document.complain((*path, "token_header"), f"'{server.token_header[:60]}' is no header", "Authorization")
    for key in ("reason", "success"):
        if getattr(server, key):
            _pointer(getattr(server, key), (*path, key), document)
    if bool(server.success) != bool(server.success_is):
        document.complain(
            (*path, "success"), "success and success_is belong together", "a pointer, and its good values"
        )
    files: dict[str, Any] = {}
    for key in ("ca", "client_certificate", "client_key", "token_file"):
        value = getattr(server, key)
        if value:
            files[key] = str(base / Path(value).expanduser())
    return replace(server, url=server.url.rstrip("/"), **files)


def _split(url: str) -> urllib.parse.SplitResult | None:
    try:
        parts = urllib.parse.urlsplit(url)
        good = parts.scheme in ("https", "http") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    good = good and url.isascii() and all(" " < character != "\x7f" for character in url)
    return parts if good else None


def pin_of(text: str) -> bytes | None:
    """Return the SHA-256 of a SubjectPublicKeyInfo from ``sha256:HEX`` (or ``sha256/BASE64``, as curl's), else None."""
    import base64
    import binascii

    try:
        if text.startswith("sha256:"):
            found = bytes.fromhex(text.removeprefix("sha256:").replace(":", ""))
        elif text.startswith(("sha256/", "sha256//")):
            found = base64.b64decode(text.removeprefix("sha256/").removeprefix("/"), validate=True)
        else:
            return None
    except (ValueError, binascii.Error):
        return None
    return found if len(found) == 32 else None


@dataclass(frozen=True, slots=True)
class _OperationTable:
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    repeat: Literal["", "never", "safe", "key"] = ""
    accept: tuple[int, ...] = ()
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, Any] = field(default_factory=dict)
    answer: Mapping[str, Any] = field(default_factory=dict)


def _operations(table: object, role: Role, values: Mapping[str, str], document: Document) -> dict[str, Operation]:
    rules = RULES[role]
    if not isinstance(table, dict):
        document.complain(("operations",), "[operations.NAME] are missing", f"at least {', '.join(REQUIRED[role])}")
        return {}
    found: dict[str, Operation] = {}
    for name, given in table.items():
        path = ("operations", name)
        if name not in rules:
            document.complain(path, f"there is no operation '{name}' of an {_title(role)}", did_you_mean(name, rules))
            continue
        made = _operation(name, given, rules[name], values, document)
        if made is not None:
            found[name] = made
    for name in REQUIRED[role]:
        if name not in table:
            document.complain(("operations",), f"[operations.{name}] is missing", "no recipe could do without it")
    return found


def _operation(name: str, given: object, rule: Rule, values: Mapping[str, str], document: Document) -> Operation | None:
    path = ("operations", name)
    body: Part | None = None
    known = rule.values | set(values)
    if isinstance(given, dict) and "body" in given:
        body = read_part(given["body"], known, (*path, "body"), document)
        given = {key: value for key, value in given.items() if key != "body"}
    table: _OperationTable | None = build(_OperationTable, given, path, document)
    if table is None:
        return None
    if not table.path.startswith("/"):
        document.complain((*path, "path"), f"'{table.path[:100]}' is no path", "it begins with '/', behind the url")
    for key in table.headers:
        if not re.fullmatch(r"[A-Za-z0-9-]{1,60}", key) or not isinstance(table.headers[key], str):
            document.complain((*path, "headers", key), f"'{key[:60]}' is no header", 'such as "X-Tenant" = "lab"')
        elif _SECRET.search(key):
            hint = "token_file or token_env in [server], with token_header"
            document.complain((*path, "headers", key), "secrets do not belong into a template", hint)
    for status in table.accept:
        if not 200 <= status <= 599:
            document.complain((*path, "accept"), f"{status} is no HTTP status", "such as 409")
    parts = [
        read_part(part, known, (*path, key), document)
        for key, part in (("path", table.path), ("query", table.query), ("headers", table.headers))
    ]
    answer = _answer(table.answer, rule, (*path, "answer"), document)
    repeat: Repeat = table.repeat or ("safe" if table.method == "GET" else "never")
    used = set().union(*(names_in(part) for part in (*parts, body)))
    if repeat == "key" and "key" not in used:
        hint = 'headers = { "Idempotency-Key" = "{key}" }, or wherever the server looks for it'
        document.complain((*path, "repeat"), "repeat = 'key', and the request has no {key}", hint)
    return Operation(
        name, table.method, parts[0], body, parts[1], parts[2], repeat, table.accept, answer, document.where(path)
    )  # fmt: skip


def _answer(
    table: Mapping[str, Any], rule: Rule, path: tuple[str, ...], document: Document
) -> dict[str, pointer.Tokens]:
    found = {}
    for key, value in table.items():
        if key not in rule.answers:
            told = did_you_mean(key, rule.answers) if rule.answers else "its answer is not looked at"
            document.complain((*path, key), f"nothing is done with '{key}'", told)
        elif isinstance(value, str):
            found[key] = _pointer(value, (*path, key), document)
        else:
            document.complain((*path, key), f"'{key}' must be a JSON pointer", 'such as "/job/id"')
    for key in rule.needed:
        if key not in table:
            document.complain(path[:-1], f"where its answer has {key} is missing", f'answer = {{ {key} = "/..." }}')
    if "profiles" in table and "profile_iccid" not in table:
        document.complain(path, "where a profile of the list has its ICCID is missing", 'profile_iccid = "/iccid"')
    return found


def _pointer(text: str, path: tuple[str, ...], document: Document) -> pointer.Tokens:
    try:
        return pointer.parse(text)
    except ValueError as error:
        document.complain(path, str(error), "RFC 6901, such as /job/id or /items/0/id")
        return ()


def _texts(table: Mapping[str, Any], name: str, document: Document) -> dict[str, str]:
    given = table.get(name, {})
    if not isinstance(given, dict):
        document.complain((name,), f"'{name}' must be a table", f"write [{name}]")
        return {}
    found = {}
    for key, value in given.items():
        if isinstance(value, str):
            found[key] = value
        else:
            document.complain((name, key), f"'{key}' must be a text")
    return found


def _words(table: Mapping[str, Any], name: str, words: tuple[str, ...], document: Document) -> dict[str, str]:
    found = _texts(table, name, document)
    for key, value in found.items():
        if value not in words:
            document.complain(
                (name, key), f"'{value[:80]}' is not one of the bench's words", did_you_mean(value, words)
            )
    return found


def _waived(table: Mapping[str, Any], role: Role, document: Document) -> tuple[str, ...]:
    given = table.get("judge_without", [])
    known = _WAIVABLE[role]
    if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
        document.complain(("judge_without",), "'judge_without' must be a list", f"of {', '.join(known)}")
        return ()
    for item in given:
        if item not in known:
            document.complain(("judge_without",), f"the bench cannot judge without '{item}'", did_you_mean(item, known))
    return tuple(given)


def _title(role: Role) -> str:
    return "eIM" if role == "eim" else "SM-DP+"
