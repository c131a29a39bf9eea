"""The capture kit: what a customer runs beside a failing device, in the form that import reads without a rest."""

from __future__ import annotations

from pathlib import Path
from typing import Final

SCRIPT: Final = '''#!/usr/bin/env python3
"""Record an AT port, with times, and what the kernel says meanwhile. Python 3.8 or later on Linux, nothing else needed.

    python3 capture.py /dev/ttyUSB2 [SECONDS]

Ends with Ctrl-C or after SECONDS. Writes capture-DATE/at.log and kernel.log, and packs them to
capture-DATE.zip. Nothing is sent anywhere. The port is only asked what it is and how its radio does, every 10 s.
"""

import datetime
import os
import select
import subprocess
import sys
import termios
import time
import tty
import zipfile

ASK_ONCE = ["ATE0", "AT+CMEE=2", "AT+CGMM", "AT+CGMR", "AT+CEREG=3"]
ASK_AGAIN = ["AT+CEREG?", "AT+COPS?", "AT+CSQ", "AT+CGPADDR"]
EVERY = 10.0


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    port, seconds = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 1e9
    folder = "capture-" + datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    os.makedirs(folder)
    with open(os.path.join(folder, "at.log"), "w", buffering=1) as log:
        try:
            record(port, seconds, log)
        except KeyboardInterrupt:
            pass
        except OSError as error:
            log.write("%s usb: USB disconnect, %s: %s\\n" % (now(), port, error.strerror))
            print("the port is gone:", error.strerror)
    with open(os.path.join(folder, "kernel.log"), "wb") as log:
        try:
            made = subprocess.run(
                ["journalctl", "-k", "-o", "export", "--since", "-1h"],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            log.write(made.stdout)
        except OSError:
            pass
    with zipfile.ZipFile(folder + ".zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(os.listdir(folder)):
            if os.path.getsize(os.path.join(folder, name)):
                archive.write(os.path.join(folder, name), folder + "/" + name)
    print(folder + ".zip")


def record(port, seconds, log):
    descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        tty.setraw(descriptor, termios.TCSANOW)
        until, again, waiting = time.monotonic() + seconds, 0.0, list(ASK_ONCE)
        rest, quiet = b"", 0.0
        while time.monotonic() < until:
            if not waiting and time.monotonic() >= again:
                waiting, again = list(ASK_AGAIN), time.monotonic() + EVERY
            if waiting and time.monotonic() - quiet > 0.5:
                asked = waiting.pop(0)
                log.write("%s > %s\\n" % (now(), asked))
                os.write(descriptor, asked.encode() + b"\\r")
                quiet = time.monotonic()
            if select.select([descriptor], [], [], 0.1)[0]:
                data = os.read(descriptor, 4096)
                if not data:
                    raise OSError(5, "hung up")
                quiet = time.monotonic()
                *lines, rest = (rest + data).replace(b"\\r", b"\\n").split(b"\\n")
                for line in lines:
                    if line.strip():
                        log.write("%s < %s\\n" % (now(), line.decode("ascii", "backslashreplace").strip()))
    finally:
        os.close(descriptor)


main()
'''

PAGE: Final = """# How to record the failure

1. Connect the device to a Linux computer so that its modem's AT port is there (`ls /dev/ttyUSB* /dev/ttyACM*`).
   No other program may have the port open.
2. `python3 capture.py /dev/ttyUSB2` (your port). Let it run.
3. Make the failure happen. Note what you did, and at what time.
4. Ctrl-C. Send the zip that is named at the end, and your notes.

If you can, add to the zip:
- the log of your own application (with times), with the hex APDUs if it has an IPA or LPA;
- `supply.csv`: `time,voltage` with times as 2026-01-31T12:00:00.000Z, if you measured the supply;
- a trace of the radio (pcap with GSMTAP, by scat or QCSuper).

The recording has IMEI, IMSI and the cells that the modem names. Tell us how long we may keep it.
Which device, firmware, SIM card, operator and radio (LTE-M, NB-IoT) it is belongs into the notes.
"""


def write(folder: Path) -> list[Path]:
    """Write the kit into a folder; return its files. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    script, page = folder / "capture.py", folder / "HOW-TO-RECORD.md"
    script.write_text(SCRIPT, "utf-8")
    script.chmod(0o755)
    page.write_text(PAGE, "utf-8")
    return [script, page]
