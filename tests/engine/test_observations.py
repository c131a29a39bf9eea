"""What services observe reaches the trace; what does not is counted."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.engine.observations import ObservationServer, parse
from bench.trace.lane import Direction


class Lane:
    def __init__(self, name: str) -> None:
        self.name = name
        self.packets: list[tuple[Direction, bytes, int | None, str | None]] = []

    def record(
        self,
        direction: Direction,
        data: bytes,
        *,
        time_ns: int | None = None,
        comment: str | None = None,
        dissector: str | None = None,
    ) -> None:
        self.packets.append((direction, data, time_ns, comment))


def line(**data: Any) -> bytes:
    full = {"t_ns": 5, "lane": "esipa", "dir": 0, "data": "bf2000", "peer": "x", **data}
    return json.dumps(full).encode() + b"\n"


def serve(folder: Path, *writes: bytes) -> tuple[dict[str, Lane], list[tuple[str, int]]]:
    lanes: dict[str, Lane] = {}
    lost: list[tuple[str, int]] = []

    async def run() -> None:
        server = ObservationServer(
            lambda name: lanes.setdefault(name, Lane(name)), lambda lane, count: lost.append((lane, count))
        )
        await server.open(folder / "observe")
        for data in writes:
            _, writer = await asyncio.open_unix_connection(str(folder / "observe"))
            writer.write(data)
            await writer.drain()
            writer.close()
        await asyncio.sleep(0.02)
        await server.close()

    asyncio.run(run())
    return lanes, lost


def test_observations_are_put_on_their_lanes(tmp_path: Path) -> None:
    lanes, lost = serve(
        tmp_path,
        line() + line(dir=1, comment="answer", t_ns=7) + b'{"dropped": 0}\n',
        line(lane="es9plus", data="7b7d") + b'{"dropped": 12}\n',
    )
    assert lanes["esipa"].packets == [
        (Direction.SENT, b"\xbf\x20\x00", 5, None),
        (Direction.RECEIVED, b"\xbf\x20\x00", 7, "answer"),
    ]
    assert lanes["es9plus"].packets == [(Direction.SENT, b"{}", 5, None)]
    assert lost == [("dropped by the service", 12)]


def test_long_bodies_come_through(tmp_path: Path) -> None:
    lanes, lost = serve(tmp_path, line(data="ab" * 2_000_000))
    assert len(lanes["esipa"].packets[0][1]) == 2_000_000
    assert lost == []


@pytest.mark.parametrize(
    "bad", [b"nonsense\n", line(lane="../x"), line(data="zz"), line(t_ns=-1), b"[]\n", line()[:-1]]
)
def test_what_is_no_observation_is_counted(tmp_path: Path, bad: bytes) -> None:
    lanes, lost = serve(tmp_path, line() + bad)
    assert len(lanes["esipa"].packets) == 1
    assert lost == [("unreadable", 1)]


@given(st.binary(max_size=100) | st.builds(lambda value: json.dumps(value).encode(), st.dictionaries(
    st.sampled_from(["t_ns", "lane", "dir", "data", "comment", "dropped"]),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("esipa"), max_size=6,
)))  # fmt: skip
def test_any_line_is_an_observation_or_a_value_error(raw: bytes) -> None:
    try:
        found = parse(raw)
    except ValueError:
        return
    assert set(found) in ({"dropped"}, {"lane", "direction", "data", "time_ns", "comment"})


SECRET = "CLIENT_RANDOM " + "ab" * 32 + " " + "cd" * 48


def test_packets_and_secrets_of_services(tmp_path: Path) -> None:
    secrets: list[bytes] = []
    lanes: dict[str, Lane] = {}

    async def run() -> None:
        came = asyncio.Event()

        def lane(name: str) -> Lane:
            came.set()
            return lanes.setdefault(name, Lane(name))

        server = ObservationServer(lane, lambda *_: pytest.fail("lost"), secrets.append)
        await server.open(tmp_path / "observe")
        _, writer = await asyncio.open_unix_connection(str(tmp_path / "observe"))
        writer.write(json.dumps({"secret": SECRET}).encode() + b"\n" + line(lane="ip:link", data="45"))
        await writer.drain()
        writer.close()
        async with asyncio.timeout(10):
            await came.wait()
        await server.close()

    asyncio.run(run())
    assert secrets == [SECRET.encode()]
    assert lanes["ip:link"].packets == [(Direction.SENT, b"\x45", 5, None)]


@pytest.mark.parametrize("lane", ["ip:", "ip:../x", "ip:a b", "ip:" + "x" * 33, "apdu:card", "steps"])
def test_other_lanes_are_none_of_a_services_business(lane: str) -> None:
    with pytest.raises(ValueError, match="no lane"):
        parse(line(lane=lane))


@pytest.mark.parametrize("secret", ["", SECRET + "\n" + SECRET, SECRET[:-100], "rm -rf /", SECRET.replace(" ", "  ")])
def test_what_is_no_secret_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="no lane"):
        parse(json.dumps({"secret": secret}).encode())
