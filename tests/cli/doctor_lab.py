"""Where faults are planted for bench doctor: a lab of plain files, real servers and ptys, and what is looked at."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "station"))
from fake_host import FakeHost
from port_double import listener

from bench.client import doctor_overnight, doctor_path, doctor_station
from bench.client.doctor_check import Check
from bench.station import config
from bench.station.host import Host
from fixtures.pki import Pki


@contextmanager
def line_server(answer: Callable[[str], str | None]) -> Iterator[int]:
    """Answer every line of every client; yields the port. None: nothing is said."""

    def serve(connection: socket.socket) -> None:
        with connection.makefile("rwb") as stream:
            for raw in stream:
                said = answer(raw.decode().strip())
                if said is not None:
                    stream.write(said.encode() + b"\n")
                    stream.flush()

    with listener(serve) as number:
        yield number


@contextmanager
def supply(*, serial: str = "MY1", volts: float = 0.0, on: bool = False) -> Iterator[str]:
    """A Keysight supply as it answers; yields its resource."""
    answers = {
        "*IDN?": f"Keysight Technologies,E36312A,{serial},1.0",
        "SYST:ERR?": '+0,"No error"',
        "*OPC?": "1",
        "OUTP?": str(int(on)),
        "MEAS:VOLT?": f"{volts}",
        "MEAS:CURR?": "0.01",
    }
    with line_server(lambda line: answers.get(line.split(" (")[0], "0" if "?" in line else None)) as number:
        yield f"TCPIP::127.0.0.1::{number}::SOCKET"


@contextmanager
def attenuator(*, serial: str = "11501150004", reads: str = "30.25") -> Iterator[str]:
    """A Mini-Circuits attenuator of one channel as it answers over telnet; yields its resource."""
    answers = {"MN?": "MN=RCDAT-6000-90", "SN?": f"SN={serial}", "ATT?": reads}
    with line_server(lambda line: answers.get(line, "-99 Unrecognized Command")) as number:
        yield f"telnet://127.0.0.1:{number}"


@contextmanager
def tls_server(home: Path) -> Iterator[tuple[int, str]]:
    """An eIM's TLS end with the certificate of the bench's PKI; yields port and CA."""
    pki = Pki.open(home)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pki.folder / "eim_tls.crt.pem", pki.folder / "eim_tls.key.pem")

    def serve(raw: socket.socket) -> None:
        with context.wrap_socket(raw, server_side=True) as connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    with listener(serve) as number:
        yield number, str(pki.folder / "ci.crt.pem")


@dataclass
class Lab:
    """Where a fault is planted, and what is looked at."""

    folder: Path
    fake: FakeHost
    stack: ExitStack
    toml: str = ""
    host: Host = field(default_factory=Host)

    def load(self) -> config.BenchConfig:
        path = self.folder / "bench.toml"
        path.write_text(self.toml)
        return config.load(path, environment={"BENCH_HOME": str(self.folder / "home")})

    def on_fake(self, **changes: Any) -> None:
        self.host = Host(root=self.fake.root, uid=4711, groups=frozenset({4711}), user="lab", **changes)

    def power(self, resource: str, more: str = "") -> str:
        return (
            f'power = {{ driver = "keysight-e36300", resource = "{resource}", voltage = 3.8, current_limit = 1.0, '
            f"voltage_max = 4.3{more} }}\n"
        )


async def gathered(items: AsyncIterator[Check]) -> list[Check]:
    return [item async for item in items]


def station(lab: Lab) -> list[Check]:
    return asyncio.run(gathered(doctor_station.station(lab.load().station("lab"), lab.host)))


def path(lab: Lab, eim: dict[str, str], **more: Any) -> list[Check]:
    return asyncio.run(gathered(doctor_path.path(lab.load().station("lab"), eim, lab.host, **more)))


def overnight(lab: Lab, **more: Any) -> list[Check]:
    bench = lab.load()
    found = [bench.stations["lab"]] if "lab" in bench.stations else []
    return list(doctor_overnight.overnight(bench, found, lab.host, hours=12, **more))
