"""What the service processes share."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from bench import buffers
from bench.errors import BenchError, ConfigurationError
from fixtures import service
from fixtures.service import Observer

PROGRAM = """
import asyncio, sys
from asyncio.sslproto import SSLProtocol
from fixtures import service
from bench.errors import ConfigurationError

async def opening(arguments, observer, stack):
    async def bye():
        print("closed", file=sys.stderr, flush=True)
    stack.push_async_callback(bye)
    if arguments.how == "refuse":
        raise ConfigurationError("it is wrong", where="here", hint="put it right")
    if arguments.how == "slow":
        print("opening", file=sys.stderr, flush=True)
        await asyncio.sleep(60)
    if arguments.how in ("fault", "gone"):
        def callback():
            raise {"fault": ValueError, "gone": ConnectionResetError}[arguments.how]("in a callback")
        asyncio.get_running_loop().call_later(0.01, callback)
    if arguments.how == "reads":
        return {"reads": SSLProtocol.max_size}
    return {"hello": 1}

parser = service.parser("test", "A test.")
parser.add_argument("--how", default="")
parser.add_argument("--strict", action="store_true")
arguments = parser.parse_args()
sys.exit(service.run(opening, arguments, strict=arguments.strict))
"""


def start(*options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def finish(process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_announces_once_and_ends_by_signal(number: int) -> None:
    process = start()
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == {"hello": 1}
    process.send_signal(number)
    assert finish(process) == (0, b"", b"closed\n")


def test_a_fault_in_a_callback_ends_a_strict_service_and_is_told() -> None:
    code, out, err = finish(start("--strict", "--how", "fault"))
    assert code == service.EX_SOFTWARE
    assert out.startswith(b'{"hello": 1}')
    assert b"ValueError: in a callback" in err
    assert err.endswith(b"closed\n")


@pytest.mark.parametrize("options", [["--strict", "--how", "gone"], ["--how", "fault"]])
def test_a_lost_connection_ends_no_service_and_a_fault_only_a_strict_one(options: list[str]) -> None:
    process = start(*options)
    assert process.stderr is not None
    for line in process.stderr:
        if b"in a callback" in line and line.startswith((b"ValueError", b"ConnectionResetError")):
            break
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == 0


def test_ends_with_its_parent() -> None:
    process = start("--with-parent", "--how", "reads")
    assert process.stdout is not None and process.stdin is not None
    assert json.loads(process.stdout.readline()) == {"reads": buffers.STREAM}
    process.stdin.write(b"what is written here does not matter\n")
    process.stdin.flush()
    assert process.poll() is None
    assert finish(process) == (0, b"", b"closed\n")


def test_without_parent_the_end_of_input_does_not_matter() -> None:
    process = start()
    assert process.stdout is not None and process.stdin is not None
    process.stdout.readline()
    process.stdin.close()
    process.stdin = None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    process.terminate()
    assert finish(process)[0] == 0


def test_signal_while_opening() -> None:
    process = start("--how", "slow")
    assert process.stderr is not None
    assert process.stderr.readline() == b"opening\n"
    process.terminate()
    assert finish(process) == (0, b"", b"closed\n")


def test_parent_that_is_gone_already() -> None:
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM, "--with-parent", "--how", "slow"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert (found.returncode, found.stdout) == (0, b"")


def test_reader_of_the_announcement_that_is_gone() -> None:
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "--with-parent"], stdin=subprocess.PIPE, stdout=write, stderr=subprocess.PIPE
    )
    os.close(write)
    code, _, errors = finish(process)
    assert (code, errors) == (0, b"closed\n")


def test_an_error_on_opening_is_told() -> None:
    process = start("--how", "refuse")
    code, out, errors = finish(process)
    assert (code, out) == (2, b"")
    assert errors == b"closed\nerror: here: it is wrong (put it right)\n"


# --- observer -------------------------------------------------------------------------------------------------------


def pair(folder: Path) -> tuple[socket.socket, Path]:
    path = folder / "observe"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)
    return listener, path


def test_observer_says_what_it_saw(tmp_path: Path) -> None:
    listener, path = pair(tmp_path)

    async def use() -> None:
        observer = Observer.connect(path)
        observer.record("esipa", service.REQUEST, b"\xbf\x4f", peer="p", time_ns=5)
        observer.record("es9plus", service.RESPONSE, b"", peer="q", comment="c", eid="e")
        await observer.close()
        observer.record("esipa", service.REQUEST, b"after the end")

    asyncio.run(use())
    connection, _ = listener.accept()
    first, second, last = (json.loads(line) for line in connection.makefile("rb"))
    assert first == {"t_ns": 5, "lane": "esipa", "dir": 0, "data": "bf4f", "peer": "p"}
    assert abs(second.pop("t_ns") - time.time_ns()) < 60e9
    assert second == {"lane": "es9plus", "dir": 1, "data": "", "peer": "q", "comment": "c", "eid": "e"}
    assert last == {"dropped": 0}
    connection.close()
    listener.close()


def test_observer_never_waits_and_counts_what_it_drops(tmp_path: Path) -> None:
    listener, path = pair(tmp_path)

    async def use() -> tuple[int, float]:
        observer = Observer.connect(path, limit=100)
        before = time.monotonic()
        for number in range(3000):
            observer.record("esipa", 0, bytes(1000), peer=str(number))
        elapsed = time.monotonic() - before
        dropped = observer.dropped
        reader = threading.Thread(target=read)
        reader.start()
        await observer.close(10.0)
        await asyncio.to_thread(reader.join)
        return dropped, elapsed

    lines: list[dict[str, Any]] = []

    def read() -> None:
        connection, _ = listener.accept()
        lines.extend(json.loads(line) for line in connection.makefile("rb"))
        connection.close()

    dropped, elapsed = asyncio.run(use())
    listener.close()
    assert elapsed < 2.0
    assert dropped > 0
    assert lines[-1] == {"dropped": dropped}
    assert len(lines) - 1 + dropped == 3000
    assert [int(line["peer"]) for line in lines[:-1]] == list(range(len(lines) - 1)), "whole lines, in order"


def test_observer_catches_up(tmp_path: Path) -> None:
    listener, path = pair(tmp_path)

    async def use() -> int:
        observer = Observer.connect(path, limit=5000)
        for number in range(4000):
            observer.record("esipa", 0, bytes(500), peer=str(number))
        connection, _ = listener.accept()
        reader, writer = await asyncio.open_unix_connection(sock=connection)
        count = 0
        async with asyncio.timeout(20):
            while count < 4000:
                line = await reader.readline()
                assert int(json.loads(line)["peer"]) == count
                count += 1
        await observer.close()
        assert json.loads(await reader.readline()) == {"dropped": 0}
        writer.close()
        return count

    assert asyncio.run(use()) == 4000
    listener.close()


@pytest.mark.parametrize("reads", [True, False])
def test_observer_whose_reader_goes_away(reads: bool, tmp_path: Path) -> None:
    listener, path = pair(tmp_path)

    async def use() -> int:
        observer = Observer.connect(path)
        connection, _ = listener.accept()
        if not reads:
            while not observer._writing:
                observer.record("esipa", 0, bytes(10000))
        connection.close()
        for _ in range(10):
            observer.record("esipa", 0, bytes(10000))
            await asyncio.sleep(0)
        before = time.monotonic()
        await observer.close()
        assert time.monotonic() - before < 1.0
        assert not observer.active
        return observer.dropped

    assert asyncio.run(use()) > 0
    listener.close()


def test_observer_does_not_wait_for_ever_at_the_end(tmp_path: Path) -> None:
    listener, path = pair(tmp_path)

    async def use() -> None:
        observer = Observer.connect(path)
        while not observer._writing:
            observer.record("esipa", 0, bytes(10000))
        before = time.monotonic()
        await observer.close(0.1)
        assert time.monotonic() - before < 1.0

    asyncio.run(use())
    listener.close()


def test_observer_without_a_socket() -> None:
    async def use() -> None:
        observer = Observer.connect(None)
        assert not observer.active
        observer.record("esipa", 0, b"x")
        await observer.close()

    asyncio.run(use())


def test_observer_that_nobody_waits_for(tmp_path: Path) -> None:
    async def use() -> None:
        with pytest.raises(ConfigurationError, match="nobody reads"):
            Observer.connect(tmp_path / "none")

    asyncio.run(use())


# --- token ----------------------------------------------------------------------------------------------------------


def test_token_is_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "token"
    token = service.token_file(path)
    assert len(token) >= 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert service.token_file(path) == token
    assert [item.name for item in path.parent.iterdir()] == ["token"]


def test_tokens_made_at_the_same_time_are_one(tmp_path: Path) -> None:
    path = tmp_path / "token"
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(service.token_file(path))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert set(found) == {path.read_text().strip()}


@pytest.mark.parametrize("content", ["", "short", "x" * 40])
def test_tokens_that_are_none(content: str, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(content)
    path.chmod(0o644 if len(content) > 20 else 0o600)
    with pytest.raises(ConfigurationError, match="token"):
        service.token_file(path)


# --- the rest -------------------------------------------------------------------------------------------------------


def test_routes() -> None:
    assert service.routes(["A.test=127.0.0.1:1", "b=[::1]:65535"]) == {"a.test": ("127.0.0.1", 1), "b": ("::1", 65535)}
    for wrong in ("", "a", "a=", "a=h", "a=h:", "a=:1", "a=h:0", "a=h:65536", "a=h:x", "=h:1", "a=h:\u0661"):
        with pytest.raises(ConfigurationError):
            service.routes([wrong])


def test_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("BENCH_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/nobody")
    assert service.home(None) == Path("/nobody/.local/share/esim-bench")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert service.home(None) == Path("/data/esim-bench")
    monkeypatch.setenv("BENCH_HOME", "/bench")
    assert service.home(None) == Path("/bench")
    assert service.home(tmp_path) == tmp_path


def test_database_is_durable_and_versioned(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.sqlite"
    made = service.open_database(path, "CREATE TABLE a (b); CREATE TABLE c (d)", version=3, what="test")
    assert made.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert made.execute("PRAGMA synchronous").fetchone() == (2,)
    assert path.stat().st_mode & 0o777 == 0o600
    made.execute("INSERT INTO a VALUES (1)")
    again = service.open_database(path, "CREATE TABLE a (b)", version=3, what="test")
    assert again.execute("SELECT b FROM a").fetchall() == [(1,)]
    again.close()
    made.close()
    with pytest.raises(BenchError, match="schema 3"):
        service.open_database(path, "", version=4, what="test")


def test_database_that_fails_is_not_left_half_made(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with pytest.raises(BenchError, match="test"):
        service.open_database(path, "CREATE TABLE a (b); NONSENSE", version=1, what="test")
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()
    path.write_bytes(b"no database at all" * 1000)
    with pytest.raises(BenchError, match="cannot be used"):
        service.open_database(path, "", version=1, what="test")


def test_bearer_and_errors() -> None:
    import aiohttp
    from aiohttp import web

    async def body(request: web.Request) -> web.Response:
        return web.json_response(await service.json_object(request))

    async def refuse(request: web.Request) -> web.Response:
        raise service.HttpRefusal(418, "no", where="here", hint="there")

    async def bench(request: web.Request) -> web.Response:
        raise ConfigurationError("wrong", where="w")

    async def use() -> None:
        application = web.Application(middlewares=[service.bearer("secret-token")])
        application.add_routes([web.post("/body", body), web.get("/refuse", refuse), web.get("/bench", bench)])
        async with AsyncExitStack() as stack:
            port = await service.listen(application, stack, host="127.0.0.1")
            session = await stack.enter_async_context(aiohttp.ClientSession())

            async def call(method: str, path: str, data: bytes = b"", token: str = "secret-token") -> tuple[int, Any]:
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                async with session.request(
                    method, f"http://127.0.0.1:{port}{path}", data=data, headers=headers
                ) as answer:
                    return answer.status, await answer.json()

            assert await call("POST", "/body", b'{"a": 1}') == (200, {"a": 1})
            for data in (b"", b"[]", b"{", b"\xff", b"[" * 100_000):
                assert (await call("POST", "/body", data))[0] == 400
            refused = {"error": {"what": "no", "where": "here", "hint": "there"}}
            assert await call("GET", "/refuse") == (418, refused)
            assert await call("GET", "/bench") == (400, {"error": {"what": "wrong", "where": "w", "hint": ""}})
            assert (await call("GET", "/nothing"))[0] == 404
            for token in ("", "secret", "secret-token2", "SECRET-TOKEN"):
                status, told = await call("GET", "/refuse", token=token)
                assert status == 401 and "token" in told["error"]["what"]

    asyncio.run(use())


def test_port_that_is_taken(tmp_path: Path) -> None:
    from aiohttp import web

    async def use() -> None:
        async with AsyncExitStack() as stack:
            port = await service.listen(web.Application(), stack, host="127.0.0.1")
            with pytest.raises(ConfigurationError, match="cannot listen"):
                await service.listen(web.Application(), stack, host="127.0.0.1", port=port)

    asyncio.run(use())


def test_tls_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("nothing")
    with pytest.raises(ConfigurationError, match="TLS"):
        service.tls_context(tmp_path / "a", tmp_path / "b")
