"""The eIM's CoAPS port under libcoap with OpenSSL and with GnuTLS, and our client with libcoap's servers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from aiocoap.numbers import codes
from coaps.parties import LONG, client, echo, post, serving, trusting, way

from fixtures.coaps.blockwise import Reply
from fixtures.coaps.client import Trust
from fixtures.coaps.contexts import client_context
from fixtures.pki import Pki

from .foreign import Bench, environment, need, run

CLIENTS = ("coap-client-openssl", "coap-client-gnutls")
SERVERS = ("coap-server-openssl", "coap-server-gnutls")
POLL = bytes.fromhex("bf4f125a1089049032123451234512345678901235")


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.open(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def body() -> bytes:
    return b"".join(number.to_bytes(4, "big") for number in range(LONG // 4))


def play(work: Callable[[], Coroutine[Any, Any, None]], within: float = 60.0) -> None:
    async def limited() -> None:
        async with asyncio.timeout(within):
            await work()

    asyncio.run(limited())


async def libcoap(program: str, *arguments: str | Path | int, within: float = 30.0) -> tuple[int, bytes, str]:
    """Run one of libcoap's clients; return exit code, what it received and what it said."""
    process = await asyncio.create_subprocess_exec(
        program,
        *map(str, arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment(),
    )
    try:
        async with asyncio.timeout(within):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    got = Path(str(arguments[arguments.index("-o") + 1])) if "-o" in arguments else None
    return (
        process.returncode,
        got.read_bytes() if got is not None and got.exists() else b"",
        said.decode("utf-8", "replace"),
    )


@pytest.mark.parametrize("program", CLIENTS)
def test_sixty_kilobytes_each_way(program: str, pki: Pki, body: bytes, tmp_path: Path) -> None:
    need(program)
    (tmp_path / "body").write_bytes(body)

    async def work() -> None:
        async with serving(pki) as (server, port):
            for method, more, expected in (
                ("get", (), (await echo_get()).payload),
                ("post", ("-f", tmp_path / "body"), body),
                ("post", ("-f", tmp_path / "body", "-b", 256), body),
            ):
                uri = f"coaps://127.0.0.1:{port}/a"
                done = await libcoap(program, "-m", method, *more, "-C", pki.ci_files, "-o", tmp_path / "got", uri)
                assert done[1] == expected, done[2][:2000]
            assert server.counts.handshakes == 3

    play(work)


async def echo_get() -> Reply:
    class Get:
        code = codes.GET

    return await echo(Get, b"")


def test_datagrams_that_the_client_loses(pki: Pki, body: bytes, tmp_path: Path) -> None:
    """libcoap's own switch: it does not send the datagrams of these numbers."""
    need(*CLIENTS)
    (tmp_path / "body").write_bytes(body)

    async def work() -> None:
        async with serving(pki) as (_, port):

            async def losing(program: str, numbers: str) -> None:
                got = tmp_path / f"{program}-{numbers}"
                uri = f"coaps://127.0.0.1:{port}/a"
                arguments = ("-m", "post", "-f", tmp_path / "body", "-C", pki.ci_files, "-l", numbers, "-o", got)
                _, answer, said = await libcoap(program, *arguments, uri)
                assert answer == body, f"{program} without {numbers}: {said[:2000]}"

            lost = ("1", "2", "3", "2,4", "9", "30")
            await asyncio.gather(*(losing(program, numbers) for program in CLIENTS for numbers in lost))

    play(work)


def test_datagrams_that_are_lost_on_the_servers_side(pki: Pki, body: bytes, tmp_path: Path) -> None:
    """Each of the handshake's, in both directions, and some of the blocks."""
    need(*CLIENTS)
    (tmp_path / "body").write_bytes(body)

    async def work() -> None:
        async with serving(pki) as (_, port):

            async def losing(program: str, side: str, number: int) -> None:
                got = tmp_path / f"{program}-{side}{number}"
                async with way(port, **{side: lambda count, data: int(count != number)}) as between:
                    uri = f"coaps://127.0.0.1:{between.port}/a"
                    arguments = ("-m", "post", "-f", tmp_path / "body", "-C", pki.ci_files, "-o", got)
                    _, answer, said = await libcoap(program, *arguments, uri)
                assert answer == body, f"{program} without {side} {number}: {said[:2000]}"

            down = [losing(program, "down", number) for program in CLIENTS for number in (1, 2, 3, 4, 5, 6, 7, 8, 40)]
            up = [losing(program, "up", number) for program in CLIENTS for number in (1, 2, 3, 4, 5, 6, 41)]
            await asyncio.gather(*down, *up)

    play(work)


def test_sixty_kilobytes_by_get_with_datagrams_lost_on_either_side(pki: Pki, tmp_path: Path) -> None:
    need(*CLIENTS)

    async def work() -> None:
        expected = (await echo_get()).payload
        async with serving(pki) as (_, port):

            async def losing(program: str, side: str, number: int) -> None:
                got = tmp_path / f"{program}-{side}{number}"
                rules = {} if side == "client" else {side: lambda count, data: int(count != number)}
                async with way(port, **rules) as between:
                    uri = f"coaps://127.0.0.1:{between.port}/a"
                    own = ("-l", number) if side == "client" else ()
                    _, answer, said = await libcoap(program, "-m", "get", "-C", pki.ci_files, *own, "-o", got, uri)
                    assert len(between.seen_down) > len(expected) // 1024
                assert answer == expected, f"{program} without {side} {number}: {said[:2000]}"

            cases = [("client", 1), ("client", 9), ("up", 2), ("up", 30), ("down", 4), ("down", 8), ("down", 50)]
            await asyncio.gather(*(losing(program, *case) for program in CLIENTS for case in cases))

    play(work)


@pytest.mark.parametrize("program", CLIENTS)
def test_a_client_that_trusts_another_ca_gets_nothing(program: str, pki: Pki, tmp_path: Path) -> None:
    need(program)
    other = Pki.open(tmp_path / "other")

    async def work() -> None:
        async with serving(pki) as (server, port):
            uri = f"coaps://127.0.0.1:{port}/a"
            _, got, said = await libcoap(program, "-C", other.ci_files, "-B", 3, "-o", tmp_path / "got", uri)
            assert got == b"", said
            assert server.counts.requests == 0 and server.counts.handshakes == 0
            assert server.counts.failed == 1, "its alert came"

    play(work)


# --- the eIM as a process ---------------------------------------------------------------------------------------------


def eim(bench: Bench) -> tuple[str, str]:
    """Return the CoAPS address of the bench's eIM and the CA that its announcement names."""
    announced = bench.announcement["eim"]
    return announced["coaps"], announced["ca"]


@pytest.mark.parametrize("program", CLIENTS)
def test_the_eim_answers_a_poll_and_lets_itself_be_looked_at(program: str, bench: Bench, tmp_path: Path) -> None:
    need(program)
    address, ca = eim(bench)
    (tmp_path / "poll").write_bytes(POLL)

    def ask(path: str, *arguments: str | Path) -> bytes:
        got = tmp_path / "got"
        got.unlink(missing_ok=True)
        run(program, "-C", ca, "-o", got, *arguments, f"{address}{path}", deadline=30)
        return got.read_bytes() if got.exists() else b""

    assert b"</gsma/rsp2/asn1>" in ask("/.well-known/core")
    assert ask("/.well-known/core", "-b", "1,16") == ask("/.well-known/core")[16:32]  # RFC 7959 section 2.4
    assert ask("/") == b"eIM\n"
    answer = ask("/gsma/rsp2/asn1", "-m", "post", "-f", tmp_path / "poll")
    assert answer.startswith(bytes.fromhex("bf4f03")), answer.hex()  # eidNotFound, or no package
    (tmp_path / "json").write_text('{"eidValue": "89049032123451234512345678901235"}')
    answer = ask("/gsma/rsp2/esipa/getEimPackage", "-m", "post", "-f", tmp_path / "json")
    assert b"eimPackageError" in answer


@pytest.mark.parametrize(
    "suite",
    [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES128-SHA256",
        "ECDHE-ECDSA-AES128-CCM8",
        "ECDHE-ECDSA-AES128-CCM",
    ],
)
def test_openssl_shakes_hands_with_one_suite_and_resumes(suite: str, bench: Bench, tmp_path: Path) -> None:
    address, ca = eim(bench)
    session = tmp_path / "session"
    arguments = ("openssl", "s_client", "-dtls1_2", "-connect", address.removeprefix("coaps://"), "-CAfile", ca)
    checks = ("-servername", "eim.bench.example", "-verify_return_error", "-verify_hostname", "eim.bench.example")
    first = run(*arguments, *checks, "-cipher", f"{suite}:@SECLEVEL=0", "-groups", "P-256", "-sess_out", session)
    assert f"Cipher is {suite}".encode() in first.stdout and b"Verify return code: 0 (ok)" in first.stdout
    again = run(*arguments, "-cipher", f"{suite}:@SECLEVEL=0", "-sess_in", session)
    assert f"Reused, TLSv1.2, Cipher is {suite}".encode() in again.stdout, again.stdout


def test_openssl_checks_the_dtls_side_as_strictly_as_it_can(bench: Bench, tmp_path: Path) -> None:
    address, ca = eim(bench)
    arguments = ("openssl", "s_client", "-dtls1_2", "-brief", "-connect", address.removeprefix("coaps://"))
    name = ("-servername", "eim.bench.example", "-verify_hostname", "eim.bench.example", "-verify_return_error")
    strict = ("-x509_strict", "-purpose", "sslserver", "-auth_level", "3", "-no-CApath", "-no-CAstore")
    good = run(*arguments, *name, *strict, "-CAfile", ca)
    assert b"Verification: OK" in good.stdout + good.stderr
    other = Pki.open(tmp_path / "other").ci_files
    refused = run(*arguments, *name, *strict, "-CAfile", other, ok=(1,))
    assert b"verify error" in refused.stderr
    refused = run(*arguments, "-verify_return_error", "-verify_hostname", "x.example", "-CAfile", ca, ok=(1,))
    assert b"hostname mismatch" in refused.stderr.lower()


@pytest.mark.parametrize("option", ["-dtls1", "-dtls1_2"])
def test_what_is_too_old_or_too_weak_is_refused(option: str, bench: Bench) -> None:
    address, _ = eim(bench)
    suites = "ALL:@SECLEVEL=0" if option == "-dtls1" else "ECDHE-ECDSA-AES128-SHA:NULL:@SECLEVEL=0"
    arguments = ("-connect", address.removeprefix("coaps://"), "-cipher", suites, "-brief")
    said = run("openssl", "s_client", option, *arguments, ok=(1,))
    assert b"CONNECTION ESTABLISHED" not in said.stderr


@pytest.mark.parametrize(("limit", "block"), [(512, 256), (1024, 512), (2048, 1024), (4096, 1024)])
def test_a_client_whose_records_are_small_gets_blocks_that_fit(limit: int, block: int, pki: Pki) -> None:
    """max_fragment_length (RFC 6066): a message is one record, and OpenSSL writes none that is longer than agreed."""
    need("openssl")
    arguments = ("s_client", "-dtls1_2", "-quiet", "-maxfraglen", str(limit))
    exponent = block.bit_length() - 5

    async def work() -> None:
        async with serving(pki) as (_, port):
            process = await asyncio.create_subprocess_exec(
                "openssl", *arguments, "-connect", f"127.0.0.1:{port}",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            assert process.stdin is not None and process.stdout is not None
            try:
                # GET of the whole, then the next block of 1024 bytes: its first part, numbered in blocks that fit
                for number, asked in (0, ""), (1024 // block, "c1 16"):
                    process.stdin.write(bytes.fromhex(f"40 01 {number:04x} b1 61 {asked}"))
                    head = await process.stdout.readuntil(b"\xff")
                    assert head[:4] == bytes.fromhex(f"60 45 {number:04x}")
                    assert bytes([number << 4 | 8 | exponent]) in head, head.hex()
                    got = await process.stdout.readexactly(block)
                    assert got == (bytes(range(256)) * 16)[number * block : (number + 1) * block]
            finally:
                process.kill()
                await process.wait()

    play(work)


# --- our client -------------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def to_server(pki: Pki) -> Trust:
    return Trust(
        client_context(lambda connection, der, depth, why: why, anchor=pki.ci.certificate),
        lambda der: "" if der else "nobody",
    )


@pytest.mark.parametrize("program", SERVERS)
def test_our_client_with_libcoaps_servers(program: str, pki: Pki, body: bytes, tmp_path: Path) -> None:
    """PUT and GET of 60 kB in blocks with Request-Tag, a session resumed, and another CA."""
    need(program)
    chain, key = pki.eim_tls.tls_files()

    async def work() -> None:
        port = free_port()  # of coap; coaps is the next one
        process = await asyncio.create_subprocess_exec(
            *(program, "-A", "127.0.0.1", "-p", str(port), "-c", str(chain), "-j", str(key), "-n", "-d", "10"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment(),
        )
        try:
            trust = to_server(pki)
            for number in range(2):
                async with client(port + 1, trust, first_timeout=0.5) as made:
                    code, _ = await made.exchange(code=codes.PUT, path=("data",), body=body, longest=1 << 20)
                    assert code in (codes.CREATED, codes.CHANGED), code
                    code, got = await made.exchange(code=codes.GET, path=("data",), longest=1 << 20)
                    assert code == codes.CONTENT and got == body
                    assert made.resumed in (False, number == 1)  # GnuTLS' server keeps no sessions
                    if program.endswith("openssl"):
                        assert made.resumed is (number == 1)
            with pytest.raises(Exception, match=r"issuer|self-signed"):
                async with client(port + 1, trusting(Pki.open(tmp_path / "other"))) as made:
                    await post(made)
        finally:
            process.terminate()
            await process.wait()

    play(work)
