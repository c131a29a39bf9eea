"""Time from nothing to the first RSP message, in fresh processes: ``python tests/benchmarks/rsp_import.py``.

Prints JSON: milliseconds (median of the runs) for importing asn1tools alone and for import to first message with it,
and what our part adds. Byte code is kept in a folder of its own, so that the figures do not depend on the user's
environment; the first, compiling run is left out.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile

BUDGET = 100.0
FIRST_MESSAGE = """
import time
started = time.perf_counter()
from bench.rsp import codec
codec.encode("GetEimPackageRequest", {"eidValue": bytes(16)})
print((time.perf_counter() - started) * 1e3)
"""
ASN1TOOLS = """
import time
started = time.perf_counter()
import asn1tools
print((time.perf_counter() - started) * 1e3)
"""


def measure(code: str, folder: str, runs: int = 15) -> float:
    """Return the median of the milliseconds that ``code`` prints."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = folder
    times = [
        float(subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True).stdout)
        for _ in range(runs + 1)
    ]
    return statistics.median(times[1:])


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        asn1tools = measure(ASN1TOOLS, folder)
        message = measure(FIRST_MESSAGE, folder)
    print(
        json.dumps(
            {
                "benchmark": "rsp_import",
                "unit": "ms",
                "import_asn1tools": round(asn1tools, 1),
                "import_to_first_message": round(message, 1),
                "ratio": round(message / asn1tools, 3),
                "budget": BUDGET,
                "ok": message <= BUDGET,
            }
        )
    )


if __name__ == "__main__":
    main()
