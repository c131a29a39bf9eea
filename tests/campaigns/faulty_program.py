"""The same for a program: a stand-in that switches like uhubctl, ykushcmd or tc, a process of its own at every call.

Its state is in files beside it, so that the campaign sees what it was really told; it reads there, too, which fault
meets its n-th call from now.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path
from typing import Final

from exchanges import Armed  # type: ignore[import-not-found] # no installed package

FAULTS: Final = (
    "hang", "hang-behind", "killed", "failed", "done-but-failed", "garbage", "empty", "half", "half-and-killed",
    "ignored", "wrong", "moved", "busy", "gone", "slow", "noise", "flood", "missing", "not-executable",
)  # fmt: skip
"""``moved``: another program changes it at once; ``busy``: another program holds it; ``gone``: for a while."""

_HEAD: Final = r"""#!/bin/sh
name= count=0 fault=
[ -s "$0.fault" ] && read -r name count < "$0.fault"
if [ -n "$name" ]; then
  if [ "$count" -gt 0 ]; then echo "$name $((count - 1))" > "$0.fault"
  else fault=$name; : > "$0.fault"; : > "$0.fired"; fi
fi
read -r state < "$0.state"
case $fault in
  hang) exec sleep 20 ;;
  hang-behind) sleep 3 & wait ;;
  killed) kill -9 $$ ;;
  failed) echo "%(failed)s" >&2; exit 1 ;;
  busy) echo "%(busy)s" >&2; exit %(busy_code)s ;;
  gone) : > "$0.gone" ;;
  garbage) printf '\377\376\000\033[31m{"\n%%s: \n' "$*"; exit 0 ;;
  empty) exit 0 ;;
  slow) sleep 0.05 ;;
  noise) echo "warning: udev rules were not found" >&2 ;;
esac
[ -s "$0.gone" ] || [ -e "$0.gone" ] && { echo "%(gone)s" >&2; exit 1; }
"""
_HUB: Final = (
    _HEAD
    + r"""
wanted=
case "$*" in
  *"-a off"*|*"-d "*) wanted=0 ;;
  *"-a on"*|*"-u "*) wanted=1 ;;
esac
switch() {
  echo "$1" > "$0.state"
  state=$1
  if [ "$1" = 1 ]; then [ -e "$bus/idVendor" ] || { mkdir -p "$bus"; echo 1bc7 > "$bus/idVendor"; }
  elif [ -e "$bus/idVendor" ]; then rm -r "$bus"; fi
}
read -r bus < "$0.bus"
if [ -n "$wanted" ]; then
  case $fault in
    ignored) ;;
    wrong|moved) switch $((1 - wanted)) ;;
    *) switch "$wanted" ;;
  esac
fi
[ "$fault" = done-but-failed ] && { echo "control transfer failed" >&2; exit 3; }
[ "$fault" = half-and-killed ] && { printf 'Current status for hub 1-1.4 [0424:2514 Down'; kill -9 $$; }
[ "$fault" = half ] && { printf 'Current status for hub 1-1.4 [0424:2514 Downstream po'; exit 0; }
number=0
while [ "$fault" = flood ] && [ $number -lt 1000 ]; do
  echo "  Port 7: 0503 power highspeed enable connect [0000:0000 $number]"
  number=$((number + 1))
done
case "$*" in
  "-l") printf 'Attached YKUSH Boards:\n1. Board found with serial number: YK12345\n' ;;
  *-g*) [ "$state" = 1 ] && echo "Downstream port 2 is ON" || echo "Downstream port 2 is OFF" ;;
  *-u*|*"-d 2") ;;
  *) echo "Current status for hub 1-1.4 [0424:2514 Microchip USB2 hub, USB 2.00, 4 ports, ppps]"
     [ "$state" = 1 ] && echo "  Port 2: 0503 power highspeed enable connect [1bc7:0036 Modem]"
     [ "$state" = 1 ] || echo "  Port 2: 0000 off" ;;
esac
exit 0
"""
)
_TC: Final = (
    _HEAD
    + r"""
told() { # handle delay jitter loss rate
  [ "$1" = - ] && { echo '[{"kind":"noqueue","handle":"0:","root":true,"options":{}}]'; return; }
  [ "$1" = 1: ] && { echo '[{"kind":"htb","handle":"1:","root":true,"options":{}}]'; return; }
  printf '[{"kind":"netem","handle":"%%s","root":true,"refcnt":2,"options":{"limit":1000' "$1"
  [ "$2" = 0 ] || printf ',"delay":{"delay":%%se-6,"jitter":%%se-6,"correlation":0}' "$2" "$3"
  [ "$4" = 0 ] || printf ',"loss-random":{"loss":%%se-2,"correlation":0}' "$4"
  [ "$5" = 0 ] || printf ',"rate":{"rate":%%s,"packetoverhead":0}' $(($5 / 8))
  echo ',"ecn":false,"gap":0}}]'
}
kept() { # as sch_netem's netem_change: what has no rate keeps the one there was
  [ "$1" = bec1: ] && rate=$5
}
after=
case "$*" in
  *" replace "*)
    delay=0 jitter=0 loss=0 rate=0
    kept $state
    while [ $# -gt 0 ]; do
      case $1 in
        delay) delay=${2%%us}; case $3 in *us) jitter=${3%%us} ;; esac ;;
        loss) loss=${2%%?} ;;
        rate) rate=${2%%bit} ;;
      esac
      shift
    done
    [ "$fault" = wrong ] && delay=$((delay + 7000))
    [ "$fault" = half ] && loss=0
    after="bec1: $delay $jitter $loss $rate" ;;
  *" del "*) after="- 0 0 0 0" ;;
esac
[ "$fault" = moved ] && after="1: 0 0 0 0"
[ "$fault" = ignored ] && after=
[ -n "$after" ] && echo "$after" > "$0.state" && state=$after
[ "$fault" = done-but-failed ] && { echo "RTNETLINK answers: Resource temporarily unavailable" >&2; exit 2; }
[ "$fault" = half-and-killed ] && { printf '[{"kind":"netem","han'; kill -9 $$; }
number=0
while [ "$fault" = flood ] && [ $number -lt 1000 ]; do
  echo "Warning: sch_htb: quantum of class $number is big. Consider r2q change." >&2
  number=$((number + 1))
done
case "$*" in
  -V) echo "tc utility, iproute2-6.1.0" ;;
  *show*) [ "$fault" = half ] && { printf '[{"kind":"netem","han'; exit 0; }; told $state ;;
esac
exit 0
"""
)
HUB: Final = _HUB % {
    "failed": "libusb: error: couldn't open USB device: Permission denied", "busy": "Unable to open device",
    "busy_code": 0, "gone": "No compatible devices detected at location 1-1.4!",
}  # fmt: skip
"""uhubctl and ykushcmd, which ends with 0 though it did not reach its board."""
TC: Final = _TC % {
    "failed": "RTNETLINK answers: Operation not permitted", "busy": "RTNETLINK answers: Device or resource busy",
    "busy_code": 2, "gone": 'Cannot find device "eth7"',
}  # fmt: skip


class FaultyProgram(Armed):  # type: ignore[misc]
    """The stand-in at ``path``. ``state`` is its state in words of its own."""

    def __init__(self, path: Path, text: str, chance: random.Random, *, state: str) -> None:
        super().__init__(chance)
        self.path = path
        self.here = asyncio.Event()
        """Set while what it switches is there."""
        self.here.set()
        self._tasks: set[asyncio.Task[None]] = set()
        path.write_text(text)
        path.chmod(0o700)
        self._file("fault").write_text("")
        self.state = state

    def _file(self, name: str) -> Path:
        return Path(f"{self.path}.{name}")

    @property
    def state(self) -> str:
        """What it was really told."""
        return self._file("state").read_text().strip()

    @state.setter
    def state(self, state: str) -> None:
        self.keep("state", state)

    def keep(self, name: str, text: str) -> None:
        """Give the stand-in a line of its own to read."""
        self._file(name).write_text(f"{text}\n")

    @property
    def away(self) -> bool:
        """Whether what it switches is gone."""
        return not self.here.is_set()

    def arm(self, fault: str, count: int) -> None:
        """Have ``fault`` happen to the ``count``-th call from now, counted from 0."""
        super().arm(fault, count)
        if fault == "missing":
            self.path.rename(self._file("elsewhere"))
        elif fault == "not-executable":
            self.path.chmod(0o600)
        else:
            self._file("fault").write_text(f"{fault} {count}\n")

    def disarm(self) -> bool:
        """Take back a fault that was not reached; return whether it had happened."""
        fault = self._fault
        super().disarm()
        if fault in ("missing", "not-executable"):
            if fault == "missing":
                self._file("elsewhere").rename(self.path)
            self.path.chmod(0o700)
            return True
        self._file("fault").write_text("")
        fired = self._file("fired").exists()
        self._file("fired").unlink(missing_ok=True)
        if self._file("gone").exists() and not self.away:
            self.here.clear()
            task = asyncio.ensure_future(self._back())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return fired

    async def _back(self) -> None:
        await asyncio.sleep(self._chance.uniform(0.02, 0.3))
        self._file("gone").unlink()
        self.here.set()

    async def close(self) -> None:
        """End everything."""
        for task in tuple(self._tasks):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks, return_exceptions=True)
