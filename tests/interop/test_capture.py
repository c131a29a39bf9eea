"""tshark on what is really on the wire: loopback captures, and a trace of the bench with the same bytes."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.trace import Direction, TraceWriter

from .foreign import Bench, Stream, end, environment, need, run
from .http import ESIPA, ESIPA_TYPE, curl
from .test_scpi import lxi

POLL_OF_NOBODY = "bf4f125a1089049032000000000000000000000000"
EID_NOT_FOUND = "bf4f03020102"


@contextlib.contextmanager
def capture(path: Path, port: int) -> Iterator[None]:
    """Capture a TCP port on loopback; the block's packets are all in the file when it ends."""
    need("tshark")
    if os.geteuid() != 0:
        pytest.skip("capturing on loopback needs root")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mark:
        mark.bind(("127.0.0.1", 0))
        wanted = f"tcp port {port} or udp port {mark.getsockname()[1]}"
        process = subprocess.Popen(
            ["tshark", "-q", "-i", "lo", "-f", wanted, "-w", str(path)],
            stderr=subprocess.PIPE,
            env=environment(),
            process_group=0,
        )
        try:
            assert process.stderr is not None
            said = Stream(process.stderr.fileno(), -1).until(rb"Capture started|[Pp]ermission[^\n]*", 15.0).group()
            if said != b"Capture started":
                pytest.skip(f"tshark may not capture here: {said.decode()}")
            yield
            end_mark = os.urandom(32)
            mark.sendto(end_mark, mark.getsockname())
            limit = time.monotonic() + 10.0
            while end_mark not in path.read_bytes():  # packets are written in the order of their arrival
                assert time.monotonic() < limit, "the capture does not end"
                time.sleep(0.02)
        finally:
            end(process)
            assert process.stderr is not None
            process.stderr.close()


def read(path: Path, *arguments: str, fields: tuple[str, ...]) -> list[list[str]]:
    columns = [word for field in fields for word in ("-e", field)]
    done = run("tshark", "-r", path, "-T", "fields", "-E", "separator=|", *arguments, *columns, deadline=30.0)
    return [line.split("|") for line in done.stdout.decode().splitlines()]


def test_scpi_on_the_wire(bench: Bench, tmp_path: Path) -> None:
    """One segment a command and one an answer, no reset, no retransmission."""
    path, port = tmp_path / "scpi.pcapng", bench.power[1]
    with capture(path, port):
        identity = lxi(bench.power, "*IDN?")
        lxi(bench.power, "MEAS:VOLT? (@1)")
    payloads = read(path, "-Y", "tcp.len > 0", fields=("tcp.srcport", "tcp.payload"))
    decoded = [(int(source) == port, bytes.fromhex(payload).decode()) for source, payload in payloads]
    assert [text.strip() for mine, text in decoded if not mine] == ["*IDN?", "MEAS:VOLT? (@1)"]
    assert next(text for mine, text in decoded if mine) == identity
    assert len(decoded) == 4
    assert read(path, "-Y", "tcp.flags.reset == 1 or tcp.analysis.retransmission", fields=("frame.number",)) == []


def test_esipa_through_the_link_as_wireshark_sees_it(registered: Bench, tmp_path: Path) -> None:
    """CONNECT, TLS, HTTP and BER of one poll; the session keys are those of curl's own connection."""
    path, keys = tmp_path / "link.pcapng", tmp_path / "keys"
    with capture(path, registered.proxy_port):
        done = run(
            *("curl", "-sS", "--proxy", registered.proxy, "--cacert", registered.ca, "--data-binary", "@-"),
            *("-H", f"Content-Type: {ESIPA_TYPE}", "--max-time", "15", f"https://eim.bench.example{ESIPA}"),
            data=bytes.fromhex(POLL_OF_NOBODY),
            variables={"SSLKEYLOGFILE": str(keys)},
        )
    assert done.stdout.hex() == EID_NOT_FOUND
    options = ("-o", f"tls.keylog_file:{keys}", "-d", f"tcp.port=={registered.proxy_port},http")
    assert read(path, *options, "-Y", "_ws.malformed", fields=("frame.number",)) == []
    connects = read(path, *options, "-Y", 'http.request.method == "CONNECT"', fields=("http.request.uri",))
    assert connects == [["eim.bench.example:443"]]
    hello = read(path, *options, "-Y", "tls.handshake.type == 1", fields=("tls.handshake.extensions_server_name",))
    assert hello == [["eim.bench.example"]]
    server = read(
        path, *options, "-Y", "tls.handshake.type == 2", fields=("tls.handshake.extensions.supported_version",)
    )
    assert server == [["0x0304"]]
    request = read(path, *options, "-Y", 'http.request.method == "POST"', fields=("http.request.uri",))
    assert [row[0] for row in request] == [ESIPA]
    answer = read(path, *options, "-Y", "http.response and http.content_type", fields=("http.response.code",))
    assert ["200"] in answer


def test_a_trace_with_these_messages(bench: Bench, tmp_path: Path) -> None:
    """What curl really got, recorded as the bench records it: Wireshark finds lanes, comments and no fault."""
    name, port = bench.server("eim")
    answer = curl(
        f"https://{name}:{port}{ESIPA}",
        *("--resolve", f"{name}:{port}:127.0.0.1", "--cacert", str(bench.ca), "-H", f"Content-Type: {ESIPA_TYPE}"),
        data=bytes.fromhex(POLL_OF_NOBODY),
    )
    path = tmp_path / "trace.pcapng"
    with TraceWriter.open(path, run_id="interop") as writer:
        writer.lane("esipa").record(Direction.SENT, bytes.fromhex(POLL_OF_NOBODY))
        writer.lane("esipa").record(Direction.RECEIVED, answer.body)
        writer.lane("scpi:psu").record(Direction.SENT, b"*IDN?\n")
        writer.lane("scpi:psu").record(Direction.RECEIVED, lxi(bench.power, "*IDN?").encode())
    rows = read(path, fields=("frame.interface_name", "frame.comment", "exported_pdu.p2p_dir"))
    assert [row[0] for row in rows] == ["esipa", "esipa", "scpi:psu", "scpi:psu"]
    assert rows[0][1].startswith("GetEimPackage request") and "eidNotFound" in rows[1][1]
    assert rows[3][1].startswith("Keysight Technologies,E36312A")
    assert [row[2] for row in rows] == ["0", "1", "0", "1"], "sent, received"
    # The whole output, with every dissector that it calls.
    shown = run("tshark", "-r", path, "-V", deadline=30.0).stdout.decode(errors="replace")
    assert "Malformed" not in shown and "Dissector bug" not in shown
