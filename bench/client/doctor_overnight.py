"""``bench doctor --overnight``: what ends a long run that a short one survives."""

from __future__ import annotations

import ctypes
import datetime
import math
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bench.client.doctor_check import Check
from bench.run import unsafe
from bench.station.config import BenchConfig, StationConfig
from bench.station.discovery.ports import resolve, usb_devices
from bench.station.host import Host
from bench.station.parts import parts

HOURLY: Final = 250_000_000
"""Bytes an hour of soak writes where no earlier run tells: 10 000 cycles of 25 kB."""
_TIME_ERROR: Final = 5
_SLEEP_TARGETS: Final = ("sleep.target", "suspend.target")


def overnight(
    config: BenchConfig, stations: Sequence[StationConfig], host: Host, *, hours: float, free: int | None = None
) -> Iterator[Check]:
    """Look at what a run of ``hours`` needs. ``free``: bytes, the disk's by default."""
    yield _space(config.runs, hours, free)
    yield _sleep(host)
    yield from _autosuspend(stations, host)
    yield _clock(host)
    yield from _certificates(config.home, hours)
    marks = unsafe.stale(config.runs)
    for folder in marks:
        text = f"run {folder.name} died: its station may still be on"
        yield Check("unsafe marks", "fail", text, "bench safe --stale, and look at the device before it runs all night")
    if not marks:
        yield Check("unsafe marks", "ok", "none")


def _space(runs: Path, hours: float, free: int | None) -> Check:
    there = next(path for path in (runs, *runs.parents) if path.exists())
    free = shutil.disk_usage(there).free if free is None else free
    rate = measured_rate(runs) or HOURLY
    needed = int(rate * hours * 1.5)
    text = f"{free / 1e9:.1f} GB are free, {hours:g} h need about {needed / 1e9:.1f} GB"
    if free < needed:
        return Check(
            "disk", "fail", text, "free space (bench runs lists old ones), or set [bench] runs to another disk"
        )
    return Check("disk", "ok", text)


def measured_rate(runs: Path, *, last: int = 5) -> int | None:
    """Return bytes an hour that the last runs of more than a minute wrote, None when there were none."""
    rates = []
    for folder in sorted((path for path in runs.glob("2*") if path.is_dir()), reverse=True)[: 4 * last]:
        try:
            files = [(file.stat().st_size, file.stat().st_mtime) for file in folder.iterdir() if file.is_file()]
            begun = (folder / "run.json").stat().st_mtime if not files else min(when for _, when in files)
        except OSError:
            continue
        seconds = max((when for _, when in files), default=begun) - begun
        if seconds >= 60:
            rates.append(sum(size for size, _ in files) / seconds * 3600)
        if len(rates) == last:
            break
    return math.ceil(max(rates)) if rates else None


def _sleep(host: Host) -> Check:
    """Whether the host may fall asleep: it cannot, its targets are masked, or somebody inhibits it."""
    states = host.text("/sys/power/state").split()
    if "mem" not in states and "disk" not in states:
        return Check("sleep", "ok", "this host cannot sleep")
    for target in _SLEEP_TARGETS:
        link = host.path(f"/etc/systemd/system/{target}")
        if link.is_symlink() and str(link.readlink()) == "/dev/null":
            return Check("sleep", "ok", f"{target} is masked")
    for path in sorted(host.path("/run/systemd/inhibit").glob("*")):
        values = dict(line.partition("=")[::2] for line in host.text(f"/run/systemd/inhibit/{path.name}").splitlines())
        if "sleep" in values.get("WHAT", "").split(":") and values.get("MODE") == "block":
            return Check("sleep", "ok", f"inhibited by {values.get('WHO', '?')}: {values.get('WHY', '')}")
    return Check(
        "sleep",
        "fail",
        "nothing keeps this host from going to sleep in the middle of the night",
        "systemd-inhibit --what=sleep:idle:handle-lid-switch --mode=block bench soak ..., "
        "or: sudo systemctl mask sleep.target suspend.target hibernate.target",
    )


def _autosuspend(stations: Sequence[StationConfig], host: Host) -> Iterator[Check]:
    """USB devices of the stations that the kernel may put to sleep: their ports then vanish or lose characters."""
    places = set(_places(stations, host))
    devices = [device for device in usb_devices(host) if device.place in places and device.power_control == "auto"]
    for device in devices:
        file = f"/sys/bus/usb/devices/{device.place}/power/control"
        rule = f'{device.udev}, TEST=="power/control", ATTR{{power/control}}="on"'
        yield Check(
            "USB autosuspend",
            "fail",
            f"the kernel may put {device.place} ({device.vid}:{device.pid} {device.product}) to sleep",
            f"echo on | sudo tee {file}; for good: echo '{rule}' | sudo tee /etc/udev/rules.d/71-bench-usb.rules",
        )
    if not devices:
        yield Check("USB autosuspend", "ok", "off for every port of these stations")


def _places(stations: Sequence[StationConfig], host: Host) -> Iterator[str]:
    for station in stations:
        for part in parts(station):
            port = getattr(part.config, "port", "")
            if not port or port.startswith("$"):
                continue
            found = resolve(port, host)
            if found is not None and found.usb is not None:
                yield found.usb.place
            elif port.startswith("usb:"):
                yield port.removeprefix("usb:").partition(":")[0]


def _clock(host: Host) -> Check:
    name, hint = "clock", "sudo timedatectl set-ntp true, then: timedatectl (System clock synchronized: yes)"
    if host.path("/run/systemd/timesync/synchronized").exists() or (str(host.root) == "/" and _kernel_synchronised()):
        return Check(name, "ok", "synchronised")
    text = "not synchronised: times of the run cannot be compared with the network's and the eIM's, and certificates"
    return Check(name, "warn", f"{text} may seem not yet or no longer valid", hint)


def _kernel_synchronised() -> bool:
    """Ask the kernel (adjtimex with no modes); any NTP or PTP daemon sets it."""
    buffer = ctypes.create_string_buffer(256)  # struct timex has 208 bytes
    try:
        return ctypes.CDLL(None, use_errno=True).adjtimex(buffer) not in (-1, _TIME_ERROR)
    except (OSError, AttributeError):
        return False


def _certificates(home: Path, hours: float) -> Iterator[Check]:
    """Ask the packages that keep certificates how they will be at the end of the run."""
    from bench.client.doctor import packages

    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=hours)
    found = [item for item in packages(home, now=end) if item.state == "fail"]
    for item in found:
        yield Check(
            f"certificates: {item.name}", "fail", f"at the end of the run: {item.text}", item.hint or "renew it"
        )
    if not found:
        yield Check("certificates", "ok", f"valid until {end:%Y-%m-%d %H:%M} UTC at least")
