"""``bench sim up`` as a process, and foreign programs run against it: deadlines everywhere, nothing left behind."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import pytest

PACKAGES = {
    "munged": "munge",
    "sbatch": "slurm-client",
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "coap-client-gnutls": "libcoap3-bin",
    "coap-client-openssl": "libcoap3-bin",
    "coap-server-gnutls": "libcoap3-bin",
    "coap-server-openssl": "libcoap3-bin",
    "comgt": "comgt",
    "curl": "curl",
    "dbus-daemon": "dbus-daemon",
    "dig": "bind9-dnsutils",
    "gammu": "gammu",
    "gnokii": "gnokii-cli",
    "lxi": "lxi-tools",
    "mmcli": "modemmanager",
    "ModemManager": "modemmanager",
    "openssl": "openssl",
    "opensc-tool": "opensc",
    "pcsc_scan": "pcsc-tools",
    "picocom": "picocom",
    "sigrok-cli": "sigrok-cli",
    "socat": "socat",
    "tshark": "tshark",
    "unshare": "util-linux",
}
"""Debian package of each program."""

PROGRAM = str(Path(sys.executable).with_name("bench"))
"""The command line of the environment that runs the tests."""
EID = "89049032123451234512345678901235"
IMEI = "490154203237518"
BOOTSTRAP_IMSI = "001010000000001"
BOOTSTRAP_ICCID = "8900101000000000019"


def need(*programs: str) -> None:
    """Skip the test when a program is not installed."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(
                f"{program} is not installed (apt-get install {PACKAGES[program]}): nothing foreign to judge by"
            )


def environment(**more: str) -> dict[str, str]:
    """Return an environment without proxies, locales and settings of whoever runs the tests."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",
        **more,
    }


def end(process: subprocess.Popen[Any], *, grace: float = 5.0) -> None:
    """End a process that leads a group, with whatever it left in the group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        pass
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(grace)


def run(
    *argv: str | Path,
    deadline: float = 20.0,
    data: bytes = b"",
    ok: tuple[int, ...] = (0,),
    variables: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end; fail when it takes longer than ``deadline`` seconds or its exit code is not ok."""
    if str(argv[0]) in PACKAGES:
        need(str(argv[0]))
    process = subprocess.Popen(
        [str(argument) for argument in argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(**(variables or {})),
        process_group=0,  # of a session of its own the first serial port that is opened would become the terminal
    )
    try:
        output, errors = process.communicate(data, timeout=deadline)
    except subprocess.TimeoutExpired:
        end(process)
        output, errors = process.communicate()
        pytest.fail(f"{argv} did not end within {deadline:g} s\n{output!r}\n{errors!r}")
    finally:
        end(process)
    assert process.returncode in ok, f"{argv} ended with {process.returncode}\n{output!r}\n{errors!r}"
    return subprocess.CompletedProcess(argv, process.returncode, output, errors)


class Stream:
    """Bytes of a descriptor, read until a pattern comes."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._read_fd, self._write_fd = read_fd, write_fd
        self.received = b""

    def write(self, data: bytes) -> None:
        """Write all of it."""
        while data:
            data = data[os.write(self._write_fd, data) :]

    def until(self, pattern: bytes, deadline: float = 10.0) -> re.Match[bytes]:
        """Return the first match in what comes; what is before and in it is used up. Raises TimeoutError."""
        limit = time.monotonic() + deadline
        with selectors.DefaultSelector() as selector:
            selector.register(self._read_fd, selectors.EVENT_READ)
            while True:
                found = re.search(pattern, self.received)
                if found is not None:
                    self.received = self.received[found.end() :]
                    return found
                left = limit - time.monotonic()
                if left <= 0 or not selector.select(left):
                    raise TimeoutError(f"no {pattern!r} within {deadline:g} s, but {self.received!r}")
                chunk = os.read(self._read_fd, 65536)
                if not chunk:
                    raise TimeoutError(f"no {pattern!r}: the stream ended with {self.received!r}")
                self.received += chunk


@contextlib.contextmanager
def terminal(port: str) -> Iterator[Stream]:
    """Open a serial port with the system's calls alone."""
    deadline = time.monotonic() + 5
    while True:
        try:
            fd = os.open(port, os.O_RDWR | os.O_NOCTTY)
            break
        except OSError as error:  # exclusive use of a client that has just left ends a moment later
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    try:
        yield Stream(fd, fd)
    finally:
        os.close(fd)


class Bench:
    """A running ``bench sim up`` with a home of its own."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        self._errors = (folder / "bench.log").open("wb")
        self.process = subprocess.Popen(
            [PROGRAM, "sim", "up", "--json", *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=folder,
            env=environment(BENCH_HOME=str(self.home)),
            start_new_session=True,
        )
        assert self.process.stdout is not None
        output = self.process.stdout.fileno()
        try:
            line = Stream(output, -1).until(rb"[^\n]*\n", 60.0).group()
        except TimeoutError as error:
            self.kill()
            pytest.fail(f"bench sim up: {error}\n{(folder / 'bench.log').read_text()}")
        self.announcement: dict[str, Any] = json.loads(line)
        (station,) = self.announcement["stations"].values()
        self.station: dict[str, Any] = station
        self.modem: str = station["modem"]["port"]
        self.power = _socket_resource(station["power"]["resource"])
        self.network = _socket_resource(station["network"]["resource"])
        self.proxy: str = station["data"]["proxy"]
        self.ca = Path(self.announcement["eim"]["ca"])

    @property
    def proxy_port(self) -> int:
        """Port of the device's data link."""
        return urlsplit(self.proxy).port or 0

    def server(self, service: str) -> tuple[str, str]:
        """Return name and port of the TLS server of ``eim`` or ``smdpp``."""
        announced = self.announcement[service]
        name = announced["fqdn"] if service == "eim" else announced["address"]
        return name, str(urlsplit(announced["https"]).port)

    def token(self, service: str) -> str:
        """Return the bearer token of the operator's side."""
        return Path(self.announcement[service]["token_file"]).read_text().strip()

    def control(self, **request: Any) -> dict[str, Any]:
        """Ask the world itself, which no instrument can."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5.0)
            connection.connect(self.announcement["control"])
            connection.sendall(json.dumps(request).encode() + b"\n")
            answer: dict[str, Any] = json.loads(Stream(connection.fileno(), -1).until(rb"[^\n]*\n").group())
        assert answer["ok"], answer
        return answer

    def state(self) -> dict[str, Any]:
        """Return everything observable of the world."""
        return self.control(op="state")

    def switch_on(self) -> None:
        """Switch the supply on; the modem boots."""
        with socket.create_connection(self.power, 5.0) as connection:
            connection.sendall(b"VOLT 3.8,(@1);:CURR 2,(@1);:OUTP ON,(@1);*OPC?\n")
            Stream(connection.fileno(), -1).until(rb"1\n")

    def send_message(self, text: str, deadline: float = 10.0) -> None:
        """Have the network emulator send a short message; it is the only one that the modem has then."""
        with terminal(self.modem) as port, socket.create_connection(self.network, 5.0) as connection:
            port.write(b"AT+CMGD=0,4\r")
            port.until(rb"OK\r\n")
            connection.sendall(f"CONF:LTE:SIGN1:SMS:OUTG:INT '{text}'\nCALL:LTE:SIGN1:PSW:ACT SMS\n".encode())
            port.until(rb'\+CMTI: "ME",0\r\n', deadline)

    def wait_registered(self, deadline: float = 60.0) -> None:
        """Wait for the modem's own word that it is registered. Raises TimeoutError."""
        limit = time.monotonic() + deadline
        with terminal(self.modem) as port:
            while True:
                port.write(b"ATV1Q0;+CEREG=0;+CEREG?\r")  # a modem that boots takes it in without a word
                try:
                    port.until(rb"\+CEREG: 0,[15]\r\n\r\nOK\r\n", 0.5)
                    return
                except TimeoutError:
                    if time.monotonic() > limit:
                        raise

    def stop(self) -> int:
        """End it as a person does; return the exit code."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(15.0)
        finally:
            self.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End it as a person does, with nothing left behind; after a failure at once."""
        if kind is not None:
            self.kill()
            return
        assert self.stop() == 0
        assert self.processes() == []

    def kill(self) -> None:
        """End it and its services at once: they are processes of other sessions, known by the home they were given."""
        end(self.process, grace=0.1 if self.process.poll() is None else 5.0)
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._errors.close()

    def processes(self) -> list[int]:
        """Return the processes whose command line names our home."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if os.fsencode(self.home) in path.read_bytes().split(b"\0"):
                    found.append(int(path.parent.name))
        return found


def _socket_resource(resource: str) -> tuple[str, int]:
    """Return host and port of ``TCPIP::host::port::SOCKET``."""
    interface, host, port, kind = resource.split("::")
    assert (interface, kind) == ("TCPIP", "SOCKET"), resource
    return host, int(port)
