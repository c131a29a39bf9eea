"""The pseudonyms that one recipient knows: a key and a table, kept here and never handed over."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from bench.handover.errors import HandoverError
from bench.handover.pseudonyms import IMSI, Identifier, PseudonymError, make
from bench.run.folder import read_json, sync_folder

SCHEMA: Final = 1
_PARTY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def party_name(text: str) -> str:
    """Return the name of a recipient as it is used in file names. Raises HandoverError."""
    if not _PARTY.fullmatch(text):
        raise HandoverError(
            f"{text!r} is no name of a recipient", where="--for", hint="letters, digits, . _ - ; such as modem-vendor"
        )
    return text


class Book:
    """Pseudonyms for one recipient. Everything that was given once is given again."""

    def __init__(self, party: str, key: bytes, known: Mapping[Identifier, str] | None = None) -> None:
        self.party = party
        self._key = key
        self._known = dict(known or {})

    @classmethod
    def open(cls, home: Path, party: str) -> Book:
        """Read the recipient's book below ``home``, or begin one with a new key. Raises HandoverError."""
        path = book_path(home, party)
        if not path.exists():
            return cls(party, secrets.token_bytes(32))
        value = read_json(path)
        try:
            if value["schema"] != SCHEMA or value["party"] != party:
                raise ValueError("of another version or recipient")
            known = {Identifier(str(e["kind"]), str(e["value"])): str(e["pseudonym"]) for e in value["entries"]}
            return cls(party, bytes.fromhex(value["key"]), known)
        except (KeyError, TypeError, ValueError) as error:
            raise HandoverError(
                f"the table of pseudonyms cannot be read: {error}",
                where=str(path),
                hint="restore it from a backup; without it the same card gets another pseudonym",
            ) from error

    def give(self, identifiers: Iterable[Identifier], *, plmns: Iterable[str] = ()) -> dict[Identifier, str]:
        """Return a pseudonym for each; none is a true value of another, and no two are the same.

        ``plmns``: PLMNs of the run, which say how long the MNC in an IMSI is. Raises HandoverError.
        """
        wanted = sorted(set(identifiers))
        true = {each.value for each in wanted} | {each.value for each in self._known}
        long_codes = {plmn for plmn in plmns if len(plmn) == 6}
        given: dict[Identifier, str] = {}
        for each in wanted:
            found = self._known.get(each)
            if found is None or found in true:
                taken = true | {pseudonym for known, pseudonym in self._known.items() if known.kind == each.kind}
                kept = 6 if each.kind == IMSI and each.value[:6] in long_codes else None
                try:
                    found = make(self._key, each, avoid=taken, kept=kept)
                except PseudonymError as error:
                    raise HandoverError(str(error), hint="shorter texts cannot be told apart any more") from error
                self._known[each] = found
            given[each] = found
        return given

    def back(self, text: str) -> str:
        """Return ``text`` with the pseudonyms in it replaced by what they stand for, the longest first."""
        pairs = sorted(((pseudonym, each.value) for each, pseudonym in self._known.items()), key=lambda p: -len(p[0]))
        if not pairs:
            return text
        table = dict(pairs)
        return re.sub("|".join(re.escape(pseudonym) for pseudonym, _ in pairs), lambda found: table[found[0]], text)

    def save(self, home: Path) -> Path:
        """Keep key and table below ``home``, readable by this user alone. Raises HandoverError."""
        path = book_path(home, self.party)
        keep(path, {"schema": SCHEMA, "party": self.party, "key": self._key.hex(), "entries": entries(self._known)})
        return path


def book_path(home: Path, party: str) -> Path:
    """Return where the book of a recipient is."""
    return home / "bundles" / f"{party_name(party)}.json"


def entries(given: Mapping[Identifier, str]) -> list[dict[str, str]]:
    """Return a table as JSON."""
    return [
        {"kind": each.kind, "value": each.value, "pseudonym": pseudonym} for each, pseudonym in sorted(given.items())
    ]


def keep(path: Path, value: Mapping[str, Any]) -> None:
    """Replace a file that only this user may read, whole at every moment. Raises HandoverError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as stream:
            json.dump(value, stream, ensure_ascii=False, indent=1)
            stream.write("\n")
            stream.flush()
            os.fsync(stream.fileno())
        scratch.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise HandoverError(f"the table cannot be kept: {error.strerror}", where=str(path)) from error
