"""ES2+ of the bundled SM-DP+ under curl, openssl and pysim's ES2+ programs (SGP.22 sections 5.3 and 6.5)."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .foreign import PROGRAM, Stream, end, environment, need, run
from .http import Answer, curl

NAME = "smdpp.bench.example"
ICCID = "8900101000000000027F"
EID = "89049032123451234512345678901235"
ES2PLUS = "/gsma/rsp2/es2plus/"
SUCCESS = {"functionExecutionStatus": {"status": "Executed-Success"}}


class Server:
    """``bench smdpp serve`` with a home of its own, and the certificate of its operator."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.home = folder / "home"
        self.variables = {"BENCH_HOME": str(self.home)}
        told = json.loads(run(PROGRAM, "smdpp", "operator", "--json", variables=self.variables).stdout)
        self.certificate, self.key = told["certificate"], told["key"]
        self.process = subprocess.Popen(
            [PROGRAM, "smdpp", "serve", "--json", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            cwd=folder,
            env=environment(**self.variables),
            start_new_session=True,
        )
        assert self.process.stdout is not None
        line = Stream(self.process.stdout.fileno(), -1).until(rb"[^\n]*\n", 30.0).group()
        self.announcement: dict[str, Any] = json.loads(line)
        self.ca = self.announcement["ca"]
        self.port = self.announcement["es2plus"].rpartition(":")[2]
        self.es9_port = self.announcement["https"].rpartition(":")[2]
        self.calls = 0

    def client(self) -> tuple[str, ...]:
        """Return curl's arguments of an operator."""
        return ("--cert", self.certificate, "--key", self.key)

    def post(self, function: str, body: bytes | dict[str, Any], *arguments: str, **headers: str) -> Answer:
        """Call a function as an operator's backend does; ``headers`` instead of its own."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        strict = ("--resolve", f"{NAME}:{self.port}:127.0.0.1", "--cacert", self.ca)
        given = {"Content_Type": "application/json", "X_Admin_Protocol": "gsma/rsp/v2.5.0", **headers}
        lines = [part for key, value in given.items() for part in ("-H", f"{key.replace('_', '-')}: {value}")]
        return curl(f"https://{NAME}:{self.port}{ES2PLUS}{function}", *strict, *lines, *arguments, data=data)

    def call(self, function: str, **members: Any) -> Any:
        """Call a function with a header of its own and return its JSON."""
        self.calls += 1
        header = {"functionRequesterIdentifier": "2.999.30", "functionCallIdentifier": f"CALL-{self.calls}"}
        answer = self.post(function, {"header": header, **members}, *self.client())
        assert answer.status == 200
        assert answer.headers["content-type"].replace(" ", "").lower() == "application/json;charset=utf-8"
        assert answer.headers["x-admin-protocol"] == "gsma/rsp/v2.5.0"
        return json.loads(answer.body)

    def bench(self, *arguments: str) -> Any:
        """Return the JSON of a ``bench smdpp`` command."""
        return json.loads(run(PROGRAM, "smdpp", *arguments, "--json", variables=self.variables).stdout)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            assert self.process.wait(15.0) == 0
        finally:
            end(self.process, grace=0.1)
            assert self.process.stdout is not None
            self.process.stdout.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("es2plus"))
    yield running
    running.stop()


# --- curl -----------------------------------------------------------------------------------------------------------


def test_an_order_from_first_to_last(server: Server) -> None:
    """Literal answers: what an operator's backend reads."""
    assert server.call("downloadOrder", iccid=ICCID, eid=EID) == {"header": SUCCESS, "iccid": ICCID}
    confirmed = server.call("confirmOrder", iccid=ICCID, matchingId="ACME-0001", releaseFlag=False)
    assert confirmed == {"header": SUCCESS, "eid": EID, "matchingId": "ACME-0001", "smdpAddress": NAME}
    assert server.call("releaseProfile", iccid=ICCID) == {"header": SUCCESS}
    again = server.call("releaseProfile", iccid=ICCID)
    assert again == {
        "header": {
            "functionExecutionStatus": {
                "status": "Failed",
                "statusCodeData": {
                    "subjectCode": "8.2.1",
                    "reasonCode": "3.5",
                    "subjectIdentifier": ICCID.rstrip("F"),
                    "message": "the profile cannot go into this state: the order is released",
                },
            }
        }
    }
    assert server.bench("show", "ACME-0001")["activation_code"] == f"LPA:1${NAME}$ACME-0001"
    cancelled = server.call("cancelOrder", iccid=ICCID, eid=EID, finalProfileStatusIndicator="Available")
    assert cancelled == {"header": SUCCESS}
    assert server.call("downloadOrder", profileType="operational")["iccid"] == ICCID
    assert server.call("cancelOrder", iccid=ICCID, finalProfileStatusIndicator="Available") == {"header": SUCCESS}


def test_a_call_that_is_sent_again(server: Server) -> None:
    header = {"functionRequesterIdentifier": "2.999.30", "functionCallIdentifier": "AGAIN"}
    first = server.post("downloadOrder", {"header": header, "iccid": ICCID}, *server.client())
    second = server.post("downloadOrder", {"header": header, "iccid": ICCID}, *server.client())
    assert first.body == second.body
    assert json.loads(first.body)["header"] == SUCCESS
    server.call("cancelOrder", iccid=ICCID, finalProfileStatusIndicator="Available")


def test_http_rules(server: Server) -> None:
    def status(*arguments: str, function: str = "releaseProfile", body: bytes = b"{}", **headers: str) -> int:
        return server.post(function, body, *server.client(), *arguments, **headers).status

    assert status() == 200
    assert status(function="handleDownloadProgressInfo") == 404  # that is the operator's
    assert status(body=b"[]") == 400
    assert status(Content_Type="text/plain") == 415
    assert status(X_Admin_Protocol="2") == 400
    assert status(body=b" " * (2 << 20)) == 413
    assert status("-X", "PUT") == 405


def failed(server: Server, alert: str, *arguments: str) -> None:
    """Assert that curl gets no answer but a TLS alert that says why."""
    address = f"https://{NAME}:{server.port}{ES2PLUS}releaseProfile"
    strict = ("--resolve", f"{NAME}:{server.port}:127.0.0.1", "--cacert", server.ca, "--max-time", "10")
    done = run("curl", "-sS", *strict, "-d", "{}", *arguments, address, ok=(35, 56))
    assert done.stdout == b""
    assert re.search(alert, done.stderr.decode()), done.stderr


def test_without_an_operators_certificate(server: Server, tmp_path: Path) -> None:
    failed(server, "alert certificate required")
    failed(server, "alert handshake failure", "--tls-max", "1.2")
    own, key = tmp_path / "own.pem", tmp_path / "own.key"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    run("openssl", "req", "-x509", *curve, "-subj", "/O=Bench Operator/CN=operator", "-keyout", key, "-out", own)
    failed(server, "alert unknown ca", "--cert", str(own), "--key", str(key))


def test_a_certificate_of_the_pki_that_is_no_operators(server: Server) -> None:
    """Its CA is known, its role is not: the eIM's and the SM-DP+'s own TLS certificates, an operator not listed."""
    folder = server.home / "pki"
    run(PROGRAM, "smdpp", "operator", "stranger", "--oid", "2.999.77", variables=server.variables)
    for name in ("eim_tls", "dp_tls", "dp_auth", "operator/stranger"):
        client = ("--cert", str(folder / f"{name}.crt.pem"), "--key", str(folder / f"{name}.key.pem"))
        header = {"functionRequesterIdentifier": "2.999.30", "functionCallIdentifier": "x"}
        answer = server.post("downloadOrder", {"header": header, "iccid": ICCID}, *client)
        data = json.loads(answer.body)["header"]["functionExecutionStatus"]["statusCodeData"]
        assert (data["subjectCode"], data["reasonCode"]) == ("1.1", "1.1")
    folder = folder / "eum"  # a certificate that signs others is for no TLS at all
    failed(server, "alert unsupported certificate", "--cert", f"{folder}.crt.pem", "--key", f"{folder}.key.pem")


def test_the_server_is_checked_with_its_name(server: Server) -> None:
    address = f"https://other.example:{server.port}/"
    wrong = ("--resolve", f"other.example:{server.port}:127.0.0.1", "--cacert", server.ca, *server.client())
    assert b"other.example" in run("curl", "-sS", *wrong, address, ok=(60,)).stderr
    right = ("--resolve", f"{NAME}:{server.port}:127.0.0.1", *server.client())
    run("curl", "-sS", *right, f"https://{NAME}:{server.port}/", ok=(60,))  # the system's CAs do not vouch for it


# --- ES9+ in ASN.1 under curl -----------------------------------------------------------------------------------------


def test_es9plus_in_asn_1(server: Server) -> None:
    def post(body: str, content_type: str = "application/x-gsma-rsp-asn1") -> Answer:
        url = f"https://{NAME}:{server.es9_port}/gsma/rsp2/asn1"
        strict = ("--resolve", f"{NAME}:{server.es9_port}:127.0.0.1", "--cacert", server.ca, "-A", "gsma-rsp-lpad")
        headers = ("-H", f"Content-Type: {content_type}", "-H", "X-Admin-Protocol: gsma/rsp/v2.2.2")
        return curl(url, *strict, *headers, data=bytes.fromhex(body))

    unknown = post("A21BBF4118" + "8010" + "00" * 16 + "A10481027F00")
    assert (unknown.status, unknown.body.hex().upper()) == (200, "A206BF4103810101")
    assert unknown.headers["content-type"] == "application/x-gsma-rsp-asn1"
    assert unknown.headers["x-admin-protocol"] == "gsma/rsp/v2.2.2"
    assert post("BF3900").status == 400
    assert post("").status == 400
    assert post("BF3900", "application/json").status == 415


# --- openssl: resumption --------------------------------------------------------------------------------------------


def s_client(server: Server, port: str, *arguments: str | Path, request: bytes = b"") -> str:
    """Return what ``openssl s_client`` says; with a request it stays until the server closes."""
    strict = ("-servername", NAME, "-CAfile", server.ca, "-verify_return_error", "-verify_hostname", NAME)
    waiting = ("-ign_eof",) if request else ()
    done = run("openssl", "s_client", "-connect", f"127.0.0.1:{port}", *strict, *waiting, *arguments, data=request)
    return (done.stdout + done.stderr).decode()


def http(function: str, body: bytes = b"{}") -> bytes:
    head = (
        f"POST {function} HTTP/1.1\r\nHost: {NAME}\r\nContent-Type: application/json\r\nConnection: close\r\n"
        f"X-Admin-Protocol: gsma/rsp/v2.5.0\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@pytest.mark.parametrize("interface", ["es9plus", "es2plus"])
def test_tls_1_2_sessions_are_resumed_on_reconnect(server: Server, interface: str) -> None:
    port = server.port if interface == "es2plus" else server.es9_port
    client = ("-cert", server.certificate, "-key", server.key) if interface == "es2plus" else ()
    said = s_client(server, port, "-tls1_2", "-reconnect", *client)
    assert said.count("New, TLSv1.2") == 1
    assert said.count("Reused, TLSv1.2") == 5
    assert "Verify return code: 0 (ok)" in said


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("interface", ["es9plus", "es2plus"])
def test_a_session_is_resumed_on_a_new_connection(server: Server, interface: str, version: str, tmp_path: Path) -> None:
    """A resumed session of ES2+ is its operator's, although the certificate is not sent again."""
    mutual = interface == "es2plus"
    port = server.port if mutual else server.es9_port
    client = ("-cert", server.certificate, "-key", server.key) if mutual else ()
    header = b'{"header":{"functionRequesterIdentifier":"x","functionCallIdentifier":"y"}}'
    request = http(f"{ES2PLUS}releaseProfile", header) if mutual else http("/gsma/rsp2/es9plus/cancelSession")
    session = tmp_path / "session.pem"
    said = s_client(server, port, version, *client, "-sess_out", session, request=request)
    assert "New, TLSv1." in said
    said = s_client(server, port, version, "-sess_in", session, request=request)
    assert f"Reused, TLSv1.{version[-1]}" in said
    assert '"subjectCode": "1.3.1", "reasonCode": "2.2"' in said  # a member is missing: not 1.1/1.1, nobody's


def test_a_session_of_es9_opens_no_es2(server: Server, tmp_path: Path) -> None:
    """The tickets of the port without client certificates are worth nothing on the other one."""
    session = tmp_path / "session.pem"
    request = http("/gsma/rsp2/es9plus/cancelSession")
    s_client(server, server.es9_port, "-tls1_3", "-sess_out", session, request=request)
    strict = ("-servername", NAME, "-CAfile", server.ca, "-ign_eof", "-tls1_3", "-sess_in", session)
    call = http(f"{ES2PLUS}releaseProfile")
    done = run("openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", *strict, data=call, ok=(0, 1))
    assert b"HTTP/1.1" not in done.stdout


# --- pysim's ES2+ programs ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pysim() -> tuple[str, Path]:
    """Interpreter and checkout of pysim, named by BENCH_PYSIM_PYTHON and BENCH_PYSIM."""
    folder = Path(os.environ.get("BENCH_PYSIM", ""))
    python = os.environ.get("BENCH_PYSIM_PYTHON", sys.executable)
    if not os.environ.get("BENCH_PYSIM") or not (folder / "contrib" / "es2p_client.py").exists():
        pytest.skip("no checkout of pysim (set BENCH_PYSIM, and BENCH_PYSIM_PYTHON with klein, requests, twisted)")
    return python, folder


def joined(server: Server, folder: Path) -> Path:
    """Write the operator's certificate and key into one PEM file, as pysim's programs want them."""
    path = folder / "operator.pem"
    path.write_text(Path(server.certificate).read_text() + Path(server.key).read_text())
    return path


def test_pysims_client(server: Server, pysim: tuple[str, Path], tmp_path: Path) -> None:
    python, folder = pysim
    base = (
        *(python, folder / "contrib" / "es2p_client.py", "--url", f"https://localhost:{server.port}"),
        *("--id", "2.999.30", "--client-cert", joined(server, tmp_path), "--server-ca-cert", server.ca),
    )
    variables = {"PYTHONPATH": str(folder)}

    def pysims(*arguments: str, ok: tuple[int, ...] = (0,)) -> str:
        done = run(*base, *arguments, variables=variables, ok=ok, deadline=60)
        return (done.stdout + done.stderr).decode()

    iccid = ICCID.rstrip("F")
    pysims("download-order", "--iccid", iccid)
    said = pysims("confirm-order", "--iccid", iccid, "--matchingId", "PYSIM-1", "--confirmationCode", "1")
    assert f"1${NAME}$PYSIM-1$$1" in said
    pysims("release-profile", "--iccid", iccid)
    assert server.bench("show", "PYSIM-1")["state"] == "released"
    pysims("cancel-order", "--iccid", iccid, "--matchingId", "PYSIM-1", "--finalProfileStatusIndicator", "Available")
    assert "8.2.1" in pysims("release-profile", "--iccid", "8900101000000000993", ok=(1,))


def test_pysims_server_is_told_of_a_download(pysim: tuple[str, Path], tmp_path: Path) -> None:
    """Its ES2+ server for operators takes what we tell (it cannot print an installation result: bytes in its JSON)."""
    need("socat")
    python, folder = pysim
    ports = []
    for _ in range(2):
        with socket.create_server(("127.0.0.1", 0)) as free:
            ports.append(free.getsockname()[1])
    outer, inner = ports
    server = Server(tmp_path, "--progress", f"https://127.0.0.1:{outer}")
    log = tmp_path / "pysim.log"
    pem = joined(server, tmp_path)
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        output = stack.enter_context(log.open("wb"))
        # Its own TLS takes one connection with today's pyOpenSSL: socat asks for our certificate in its place.
        for argv in (
            (python, folder / "contrib" / "es2p_server.py", "--host", "127.0.0.1", "--port", str(inner), "-v"),
            (
                "socat",
                f"OPENSSL-LISTEN:{outer},bind=127.0.0.1,reuseaddr,fork,cert={pem},cafile={server.ca},verify=1",
                f"TCP:127.0.0.1:{inner},retry=60,interval=0.5",
            ),
        ):
            process = subprocess.Popen(
                [str(argument) for argument in argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment(PYTHONPATH=str(folder)),
                start_new_session=True,
            )
            stack.callback(end, process)
        server.call("downloadOrder", iccid=ICCID)
        server.call("confirmOrder", iccid=ICCID, matchingId="PYSIM-2", releaseFlag=True)
        download(server, "PYSIM-2")
        deadline = time.monotonic() + 60
        while any(item["state"] == "waiting" for item in server.bench("progress")["progress"]):
            assert time.monotonic() < deadline, log.read_text()
        assert [item["state"] for item in server.bench("progress")["progress"]] == ["delivered"] * 2
        said = log.read_text()
        assert said.count("ES2+:handleDownloadProgressInfo") == 2
        for member in ('"notificationPointId": 1', '"notificationPointId": 3', '"status": "Executed-Success"', EID):
            assert member in said


def download(server: Server, matching_id: str) -> None:
    """Download with a device that shares no code with the SM-DP+."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "smdpp"))
    try:
        from smdpp_device import Device
    finally:
        sys.path.pop(0)
    from fixtures.pki import Pki

    def call(function: str, body: dict[str, Any]) -> Any:
        url = f"https://{NAME}:{server.es9_port}/gsma/rsp2/es9plus/{function}"
        strict = ("--resolve", f"{NAME}:{server.es9_port}:127.0.0.1", "--cacert", server.ca)
        headers = ("-H", "Content-Type: application/json", "-H", "X-Admin-Protocol: gsma/rsp/v2.2.2")
        answer = curl(url, *strict, *headers, data=json.dumps(body).encode())
        return json.loads(answer.body) if answer.status == 200 else None

    Device(Pki.open(server.home), call).download(matching_id)
