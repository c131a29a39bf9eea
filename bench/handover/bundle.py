"""``bench bundle``: runs in one archive for one recipient, with pseudonyms in the place of identifiers.

A redacted copy of each run folder is made, and what is derived from it (report, result, JUnit XML) is made from that
copy. Then the check looks at every file. Only what passes is packed; the table that leads back stays here.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.handover import apply
from bench.handover.book import Book, entries, keep, party_name
from bench.handover.check import Check, Left
from bench.handover.collect import Found
from bench.handover.collect_trace import collect
from bench.handover.errors import HandoverError, IdentifiersLeft
from bench.handover.image import Image, load
from bench.handover.pseudonyms import KEPT_DIGITS, Identifier
from bench.handover.replace import Replacer
from bench.run import folder as places
from bench.run import summary
from bench.run.liveness import alive
from bench.run.reader import scan

LIST: Final = "replaced.json"
READ_ME: Final = "README.txt"
_DERIVED: Final = ("report.html", places.RESULT, places.JUNIT)
_LEFT_OUT: Final = (
    places.SOURCE,
    "run.lock",
    places.CONTROL,
    places.STACK,
    ".damaged-",
)
_TEXT: Final = (".json", ".jsonl", ".log", ".txt", ".toml", ".csv")
_MOST_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Bundled:
    """What was handed over. ``replaced``: how many identifiers of each kind."""

    archive: Path
    sha256: str
    party: str
    runs: list[str]
    files: list[str]
    replaced: dict[str, int]
    kept_names: list[str]
    secrets_blocks: int
    tables: list[Path] = field(default_factory=list)


def bundle(
    folders: Sequence[Path],
    party: str,
    target: Path,
    *,
    home: Path,
    extra: Sequence[Identifier] = (),
    configuration: Mapping[str, Any] | None = None,
    told: Callable[[str], None] = lambda text: None,
) -> Bundled:
    """Write the archive ``target`` (zip) of ``folders`` for ``party``; return what is in it.

    ``home``: where key and table of the recipient are kept. ``extra``: identifiers known otherwise.
    ``configuration``: the stations' part of bench.toml. ``told`` hears what is going on.

    Raises IdentifiersLeft when the check finds any identifier (nothing is written then), HandoverError for a run that
    is still going on, a name that cannot be, and a full disk.
    """
    party_name(party)
    if len({folder.name for folder in folders}) != len(folders):
        raise HandoverError("a run is named twice", where=", ".join(folder.name for folder in folders))
    for folder in folders:
        places.manifest(folder)
        if alive(folder):
            raise HandoverError("the run is still going on", where=folder.name, hint=f"bench stop {folder.name}")
    book = Book.open(home, party)
    found = Found()
    for each in extra:
        found.add(each.kind, each.value)
    if configuration:
        found.json(configuration)
    traces: dict[Path, list[Image]] = {}
    for folder in folders:
        told(f"reading {folder.name}")
        traces[folder] = [load(path) for path in trace_files(folder)]
        found_in_folder(found, folder, traces[folder])
    secrets_blocks = sum(image.secrets for images in traces.values() for image in images)
    given = book.give(found.identifiers, plmns=found.plmns)
    replacer, check = Replacer(given), Check(given)
    with tempfile.TemporaryDirectory(prefix="esim-bench-bundle-") as scratch:
        copies = []
        for folder in folders:
            told(f"redacting {folder.name}")
            copy = Path(scratch) / _clean_name(folder.name, replacer)
            copies.append(copy)
            _copy(folder, copy, traces.pop(folder), replacer)
            _derive(copy)
        _list(Path(scratch), copies, given, found, party)
        told("checking")
        files = sorted(path for path in Path(scratch).rglob("*") if path.is_file())
        left: list[Left] = []
        for path in files:
            name = str(path.relative_to(scratch))
            left += check.file(name, path.read_bytes()) + check.file("a file's name", name.encode())
        if left:
            raise IdentifiersLeft(
                "identifiers are left, nothing was written: " + "; ".join(map(str, left[:_MOST_SHOWN])),
                where=target.name,
                hint="this is a fault of the bench: please report it with the form in brackets",
            )
        book.save(home)
        digest = _pack(Path(scratch), files, target)
    tables = _keep_tables(folders, given, party, target, digest)
    return Bundled(
        target,
        digest,
        party,
        [folder.name for folder in folders],
        [str(path.relative_to(scratch)) for path in files],
        _counts(given),
        sorted(found.kept),
        secrets_blocks,
        tables,
    )


def trace_files(folder: Path) -> list[Path]:
    """Return the files of the trace, the first one first (rotation counts upwards)."""
    return sorted(folder.glob("trace*.pcapng"), key=lambda path: [*map(int, re.findall(r"\d+", path.name))])


def found_in_folder(found: Found, folder: Path, images: list[Image]) -> None:
    """Add the identifiers of a run folder. Raises BenchError when its journal cannot be read."""
    manifest = places.manifest(folder)
    order = manifest.get("order")
    title = order.get("title") if isinstance(order, dict) else ""
    source = folder / places.SOURCE
    recipe = source.read_text("utf-8", "replace") if source.is_file() else ""
    found.public += f"\n{recipe}\n{manifest.get('recipe')}\n{title}\n{manifest.get('station')}"
    found.json(manifest)
    for event in scan(folder / places.JOURNAL):
        found.json(event["data"], event["type"])
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix in (".log", ".txt", ".csv"):
            text = path.read_text("utf-8", "replace")
            found.text(text)
            found.addresses(text)
        elif path.suffix == ".json" and path.name not in (places.MANIFEST, places.RESULT, places.PLAN):
            found.json(places.read_json(path))
    collect(found, images)


def _clean_name(name: str, replacer: Replacer) -> str:
    return replacer.replace(name.encode()).decode("utf-8", "replace")


def _copy(folder: Path, copy: Path, images: list[Image], replacer: Replacer) -> None:
    copy.mkdir()
    apply.trace(images, replacer)
    for path, image in zip(trace_files(folder), images, strict=True):
        (copy / path.name).write_bytes(image.buffer)
    for lane, text in _console(images).items():
        (copy / f"{_file_name(lane)}.txt").write_bytes(replacer.replace(text))
    for path in sorted(folder.iterdir()):
        if not path.is_file() or path.name.startswith((".", "bundle-")) or path.name in _DERIVED:
            continue
        if path.is_symlink() or any(part in path.name for part in _LEFT_OUT):
            continue
        data = path.read_bytes()
        if path.suffix in _TEXT:
            (copy / path.name).write_bytes(replacer.replace(data))
        elif path.suffix == ".f32":  # sampled volts and amps: nothing else can be in it
            (copy / path.name).write_bytes(data)


def _console(images: list[Image]) -> dict[str, bytes]:
    """Return what was on the console lanes, as a text for who has no Wireshark at hand."""
    found: dict[str, bytes] = {}
    for image in images:
        for packet in image.packets:
            if packet.kind == "console" and packet.direction == 1:
                found[packet.lane] = found.get(packet.lane, b"") + image.bytes_of(packet)
    return found


def _file_name(lane: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", lane)


def _derive(copy: Path) -> None:
    """Make report, result and JUnit XML from the redacted copy: nothing else can get into them."""
    from bench.report.html import write

    try:
        summary.derive(copy)
        write(copy)
    except OSError as error:
        raise HandoverError(f"the report cannot be written: {error.strerror}", where=str(copy)) from error


def _counts(given: Mapping[Identifier, str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for each in sorted(given):
        counts[each.kind] = counts.get(each.kind, 0) + 1
    return counts


def _list(scratch: Path, copies: Sequence[Path], given: Mapping[Identifier, str], found: Found, party: str) -> None:
    """Write what was replaced: kinds, pseudonyms and what stayed; never a true value."""
    value = {
        "schema": 1,
        "for": party,
        "runs": [copy.name for copy in copies],
        "replaced": [
            {"kind": each.kind, "pseudonym": pseudonym, "length": len(pseudonym)}
            for each, pseudonym in sorted(given.items())
        ],
        "counts": _counts(given),
        "kept_leading_digits": KEPT_DIGITS,
        "left_out": ["session keys of TLS and DTLS", "source of the recipe", "MAC addresses"],
        "stays": [
            "PLMN, TAC, EARFCN, PCI: what the radio is judged by",
            "certificates and public keys of the card (the names in them are replaced, so that they no longer verify)",
            "loopback addresses and names in reserved domains (.example, .test)",
        ],
    }
    (scratch / LIST).write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", "utf-8")
    (scratch / READ_ME).write_text(
        f"Runs of an eSIM lab bench, made ready for {party}.\n\n"
        "RUN/report.html      the report, open it in any browser\n"
        "RUN/trace.pcapng     the time line: APDU, AT, console, radio, power, ESipa; open it in Wireshark\n"
        "RUN/journal.jsonl    every event of the run, one JSON object a line\n"
        "RUN/run.json         what was run, on what, with which parameters\n"
        "RUN/console-*.txt    what the device wrote on its console\n"
        f"{LIST}        which identifiers were replaced\n\n"
        "Identifiers have pseudonyms of the same form, length and check digits. One pseudonym stands for one\n"
        "identifier in all files and all bundles for you. Name them in your answer: the lab can map them back.\n"
        "Signatures and certificates with replaced names in them do not verify any more.\n",
        "utf-8",
    )


def _pack(scratch: Path, files: Sequence[Path], target: Path) -> str:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path in files:
            info = zipfile.ZipInfo(str(path.relative_to(scratch)), (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, path.read_bytes())
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        places.write_atomic(target, memory.getvalue())
    except OSError as error:
        raise HandoverError(f"the archive cannot be written: {error.strerror}", where=str(target)) from error
    return hashlib.sha256(memory.getvalue()).hexdigest()


def _keep_tables(
    folders: Sequence[Path], given: Mapping[Identifier, str], party: str, target: Path, digest: str
) -> list[Path]:
    """Keep the table beside every run, readable by this user alone."""
    kept = []
    for folder in folders:
        path = folder / f"bundle-{party}.json"
        keep(
            path,
            {"schema": 1, "for": party, "archive": str(target.absolute()), "sha256": digest, "entries": entries(given)},
        )
        kept.append(path)
    return kept


def back(home: Path, party: str, text: str) -> str:
    """Return a recipient's answer with the true identifiers in it. Raises HandoverError for an unknown recipient."""
    from bench.handover.book import book_path

    if not book_path(home, party).exists():
        raise HandoverError(
            "nothing was handed over to this recipient", where=party, hint="bench bundle RUN --for NAME"
        )
    return Book.open(home, party).back(text)
