"""The device's data link: curl and dig through the simulated radio."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
from collections.abc import Iterator

import pytest

from .foreign import Bench, Stream, end, environment, need, run, terminal
from .http import ESIPA, ESIPA_TYPE, curl

POLL_OF_NOBODY = bytes.fromhex("bf4f125a1089049032000000000000000000000000")
EID_NOT_FOUND = "bf4f03020102"


def through_the_link(bench: Bench, url: str, *arguments: str, ok: tuple[int, ...] = (0,)) -> str:
    """Return curl's verbose account of a request over the device's data link."""
    command = ("curl", "-sS", "-v", "--proxy", bench.proxy, "--cacert", str(bench.ca), "--max-time", "20")
    done = run(*command, *arguments, url, ok=ok, deadline=25.0)
    return (done.stderr + done.stdout).decode(errors="replace")


def test_esipa_over_the_radio(registered: Bench) -> None:
    before = registered.state()["link"]
    answer = curl(
        f"https://eim.bench.example{ESIPA}",
        *("--noproxy", "", "--proxy", registered.proxy, "--cacert", str(registered.ca)),
        *("-H", f"Content-Type: {ESIPA_TYPE}"),
        data=POLL_OF_NOBODY,
    )
    assert (answer.status, answer.body.hex()) == (200, EID_NOT_FOUND)
    assert answer.variables["ssl_verify_result"] == 0
    assert answer.variables["time_total"] > 0.05, "several round trips of a radio link"
    after = registered.state()["link"]
    assert after["sent"] - before["sent"] > len(POLL_OF_NOBODY)
    assert after["received"] - before["received"] > 1000, "a certificate at least"


def test_es9plus_over_the_radio_by_another_name(registered: Bench) -> None:
    said = through_the_link(registered, "https://smdpp.bench.example/gsma/rsp2/es9plus/nonsense", "-X", "POST")
    assert "SSL certificate verify ok" in said
    assert re.search(r"< HTTP/1\.1 404", said)


def test_names_and_methods_that_lead_nowhere(registered: Bench) -> None:
    said = through_the_link(registered, "https://nowhere.example/", ok=(56,))
    assert "502" in said
    assert through_the_link(registered, "https://eim.bench.example:444/", ok=(56,)).count("502") >= 1
    assert "405" in through_the_link(registered, "http://eim.bench.example/")


def command(bench: Bench, line: str) -> None:
    with terminal(bench.modem) as port:
        port.write(b"ATE1V1Q0;" + line.encode() + b"\r")
        port.until(re.escape(line.encode()) + rb"\r\r\nOK\r\n", 30.0)


def test_without_a_pdp_context_the_link_is_refused(registered: Bench) -> None:
    """AT+CGACT=0,1, 27.007 section 10.1.10: the session ends and new ones get a reason, until it is active again."""
    command(registered, "+CGACT=0,1")
    try:
        said = through_the_link(registered, "https://eim.bench.example/", ok=(56,))
        assert "504" in said
        assert refusal(registered) == (504, "no PDP context is active")
    finally:
        command(registered, "+CGACT=1,1")
    assert "< HTTP/1.1 200" in through_the_link(registered, "https://eim.bench.example/")


def refusal(bench: Bench) -> tuple[int, str]:
    """Return status and reason that the link gives, which curl does not show."""
    with socket.create_connection(("127.0.0.1", bench.proxy_port), 5.0) as connection:
        connection.sendall(b"CONNECT eim.bench.example:443 HTTP/1.1\r\nHost: eim.bench.example:443\r\n\r\n")
        stream = Stream(connection.fileno(), -1)
        status = int(stream.until(rb"HTTP/1\.1 (\d+)")[1])
        length = int(stream.until(rb"Content-Length: (\d+)")[1])
        return status, stream.until(rb"(?s)\r\n\r\n(.{%d})" % length)[1].decode().strip()


def test_without_power_the_link_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    bench = Bench(tmp_path_factory.mktemp("dark"))
    try:
        assert "504" in through_the_link(bench, "https://eim.bench.example/", ok=(56,))
        assert refusal(bench) == (504, "the device has no power")
        bench.switch_on()
        status, reason = refusal(bench)
        assert status == 504
        assert reason == "the device has no power" or reason.startswith("the device is not registered")
    finally:
        bench.kill()


# --- DNS ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def resolver(registered: Bench) -> Iterator[int]:
    """The DNS server that the network gave the device, on a port of this host: socat goes through the link."""
    need("socat", "dig")
    with terminal(registered.modem) as port:
        port.write(b"ATV1Q0;+CGCONTRDP=1\r")
        server = port.until(rb'\+CGCONTRDP: 1,\d,"[^"]*","[\d.]+","[\d.]*","([\d.]+)"')[1].decode()
        port.until(rb"OK\r\n")
    with free_port() as listening:
        target = f"PROXY:127.0.0.1:{server}:53,proxyport={registered.proxy_port}"
        process = subprocess.Popen(
            ["socat", "-d", "-d", f"TCP-LISTEN:{listening},bind=127.0.0.1,reuseaddr,fork", target],
            stderr=subprocess.PIPE,
            env=environment(),
            process_group=0,
        )
    try:
        assert process.stderr is not None
        Stream(process.stderr.fileno(), -1).until(rb"listening on")
        yield listening
    finally:
        end(process)
        assert process.stderr is not None
        process.stderr.close()


@contextlib.contextmanager
def free_port() -> Iterator[int]:
    """Reserve a port until the end of the block; the next to listen on it needs SO_REUSEADDR."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def dig(port: int, *query: str) -> str:
    command = ("dig", "+tcp", "+tries=1", "+time=8", "-p", str(port), "@127.0.0.1")
    return run(*command, *query, deadline=15.0).stdout.decode()


def test_dig_resolves_the_servers_of_the_bench(resolver: int) -> None:
    eim = dig(resolver, "+short", "eim.bench.example").strip()
    smdpp = dig(resolver, "+short", "SMDPP.Bench.example.").strip()
    assert re.fullmatch(r"203\.0\.113\.\d+", eim) and re.fullmatch(r"203\.0\.113\.\d+", smdpp)
    assert eim != smdpp
    said = dig(resolver, "eim.bench.example", "A")
    assert "status: NOERROR" in said and "WARNING" not in said
    assert re.search(rf"eim\.bench\.example\.\s+\d+\s+IN\s+A\s+{re.escape(eim)}", said)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        (("eim.bench.example", "AAAA"), "NOERROR"),
        (("nowhere.example", "A"), "NXDOMAIN"),
        (("+opcode=NOTIFY", "eim.bench.example", "SOA"), "NOTIMP"),
    ],
)
def test_dig_gets_no_address(resolver: int, query: tuple[str, ...], status: str) -> None:
    said = dig(resolver, *query)
    assert f"status: {status}" in said
    assert "ANSWER: 0" in said


def test_dig_asks_twice_on_one_connection(resolver: int) -> None:
    said = dig(resolver, "+keepopen", "+short", "eim.bench.example", "smdpp.bench.example")
    assert len(re.findall(r"^203\.0\.113\.\d+$", said, re.MULTILINE)) == 2


def test_the_address_that_dig_found_leads_to_the_server(resolver: int, registered: Bench) -> None:
    address = dig(resolver, "+short", "eim.bench.example").strip()
    said = through_the_link(
        registered, "https://eim.bench.example/", "--connect-to", f"eim.bench.example:443:{address}:443"
    )
    assert f"CONNECT {address}:443" in said
    assert "< HTTP/1.1 200" in said
