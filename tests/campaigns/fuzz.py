"""Coverage-guided fuzzing of everything that reads outside bytes (atheris; ``pip install 'esim-bench[fuzz]'``).

Command line (JSON on standard output), resumable: what was found interesting is kept in the corpus folder.

    python tests/campaigns/fuzz.py --seconds 180 --corpus corpora [--target es10 ...] [--nice 19]

Each target of tests/campaigns/fuzz_targets.py runs in a process of its own for its share of the seconds of CPU time.
An unexpected exception, an answer that must not be, or an input that takes more than ``--hang`` seconds of CPU is
kept as file beside the corpus and reported once per place; the run goes on. Exit code 1 when there is any.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
TESTS = HERE.parent.parent
sys.path[:0] = [str(HERE.parent), str(TESTS), str(TESTS.parent)]


class Hang(BaseException):
    """One input has taken too long."""


def place(error: BaseException) -> str:
    """Return type and place of an error: what findings are told apart by."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    kind = type(error).__name__
    if kind in ("Finding", "StateChanged"):
        return f"{kind}: {re.sub(r'[0-9a-f]{6,}', '..', str(error))[:80]}"
    return f"{kind} at {Path(last.filename).name}:{last.lineno}" if last else kind


def guarded(target: Callable[[bytes], None], folder: Path, hang: float) -> Callable[[bytes], None]:
    """Return the target with findings written to ``folder`` instead of raised, one file a place."""
    folder.mkdir(parents=True, exist_ok=True)
    known = {json.loads(path.read_text())["place"] for path in folder.glob("*.json")}

    def late(_signal: int, _frame: Any) -> None:
        raise Hang

    signal.signal(signal.SIGVTALRM, late)

    def run(data: bytes) -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, hang)
        try:
            target(data)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            where = place(error)
            if where not in known:
                known.add(where)
                name = hashlib.sha256(where.encode()).hexdigest()[:12]
                told = "".join(traceback.format_exception(error))[-4000:]
                kind = "hang" if isinstance(error, Hang) else "state" if "StateChanged" in where else "crash"
                (folder / f"{name}.json").write_text(
                    json.dumps({"kind": kind, "place": where, "input": data.hex(), "error": told}, indent=1)
                )
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)

    return run


def child(arguments: argparse.Namespace) -> None:
    """Fuzz one target until the time is over; does not return."""
    import logging

    import atheris

    logging.disable(logging.CRITICAL)
    with atheris.instrument_imports(include=["bench", "fixtures", "asn1tools"]):
        import fuzz_targets

        target = fuzz_targets.TARGETS[arguments.child]
        corpus = Path(arguments.corpus) / arguments.child
        corpus.mkdir(parents=True, exist_ok=True)
        for seed in fuzz_targets.seeds(arguments.child):
            (corpus / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)
            target(seed)  # modules that are imported lazily are instrumented here
    findings = Path(arguments.corpus) / "findings" / arguments.child
    options = [
        f"-max_total_time={max(1, round(arguments.seconds))}",
        "-timeout=60",  # guarded() ends an input before
        "-print_final_stats=1",
        "-rss_limit_mb=1500",
        "-max_len=4096",
        f"-artifact_prefix={findings}/libfuzzer-",
        str(corpus),
    ]
    atheris.Setup([sys.argv[0], *options], guarded(target, findings, arguments.hang))
    atheris.Fuzz()


def fuzz(target: str, seconds: float, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run one target, again when its process ends early; return what happened."""
    findings = Path(arguments.corpus) / "findings" / target
    log = Path(arguments.corpus) / f"{target}.log"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    executions, coverage, early = 0, 0, 0
    while (left := seconds - (time.monotonic() - started)) > 1 and early < 5:
        command = [sys.executable, str(HERE), "--child", target, "--corpus", arguments.corpus, "--seconds", str(left)]
        with log.open("w") as out:
            done = subprocess.run(
                [*command, "--hang", str(arguments.hang)], stdout=out, stderr=out, timeout=left * 3 + 300, check=False
            )
        told = log.read_text(errors="replace")
        executions += int((re.findall(r"number_of_executed_units: *(\d+)", told) or [0])[-1])
        coverage = max(coverage, int((re.findall(r"cov: (\d+)", told) or [0])[-1]))
        if done.returncode:
            early += 1
            log.replace(log.with_suffix(f".ended-early-{early}.log"))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    kinds = [json.loads(path.read_text()) for path in sorted(findings.glob("*.json"))]
    dead = sorted(path.name for path in findings.glob("libfuzzer-*"))
    return {
        "target": target,
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "executions": executions,
        "coverage": coverage,
        "corpus": sum(1 for _ in (Path(arguments.corpus) / target).glob("*")),
        "crashes": [item["place"] for item in kinds if item["kind"] == "crash"] + dead,
        "hangs": [item["place"] for item in kinds if item["kind"] == "hang"],
        "state_changes": [item["place"] for item in kinds if item["kind"] == "state"],
        "ended_early": early,
    }


def main() -> int:
    """Run the campaign; print one JSON object."""
    from fuzz_targets import TARGETS

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="of all targets together")
    parser.add_argument("--corpus", required=True, metavar="DIR")
    parser.add_argument("--target", action="append", choices=sorted(TARGETS))
    parser.add_argument("--hang", type=float, default=5.0, help="seconds of CPU that one input may take")
    parser.add_argument("--nice", type=int, default=0)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments)
        return 0
    os.nice(arguments.nice)
    targets = arguments.target or list(TARGETS)
    results = [fuzz(target, arguments.seconds / len(targets), arguments) for target in targets]
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=TESTS, capture_output=True, text=True, check=False
    ).stdout.strip()
    total = {
        "commit": commit,
        "cpu_seconds": round(sum(item["cpu_seconds"] for item in results), 1),
        "executions": sum(item["executions"] for item in results),
        "crashes": sum(len(item["crashes"]) for item in results),
        "hangs": sum(len(item["hangs"]) for item in results),
        "state_changes": sum(len(item["state_changes"]) for item in results),
        "targets": results,
    }
    print(json.dumps(total, indent=1))
    bad = any(item["crashes"] or item["hangs"] or item["state_changes"] or item["ended_early"] for item in results)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
