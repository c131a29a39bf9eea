"""One question over a socket: every answer and every silence has its end."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.client.asking import ask


@contextmanager
def listening(folder: Path, answer: Callable[[socket.socket, bytes], None]) -> Iterator[str]:
    """One connection, whose first line is given to ``answer``."""
    path = str(folder / "s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen(1)
        listener.settimeout(10)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(10)
                with connection.makefile("rb") as lines:
                    answer(connection, lines.readline())

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield path
        finally:
            thread.join(10)
            assert not thread.is_alive()


def test_a_line_there_and_a_line_back(tmp_path: Path) -> None:
    def answer(connection: socket.socket, line: bytes) -> None:
        told = json.dumps({"heard": json.loads(line)}).encode() + b"\n"
        for at in range(len(told)):
            connection.sendall(told[at : at + 1])

    with listening(tmp_path, answer) as path:
        assert ask(path, {"op": "reading"}, within=10) == {"heard": {"op": "reading"}}


@pytest.mark.parametrize("told", [b"", b"[1]\n", b"7\n", b"\xff\xfe\n", b'{"half": ', b"null\n"])
def test_what_is_no_object(told: bytes, tmp_path: Path) -> None:
    with listening(tmp_path, lambda connection, _: connection.sendall(told)) as path, pytest.raises(ValueError):
        ask(path, {}, within=10)


def test_one_that_trickles_has_its_time_altogether(tmp_path: Path) -> None:
    over = threading.Event()

    def answer(connection: socket.socket, _: bytes) -> None:
        try:
            while not over.wait(0.01):
                connection.sendall(b" ")
        except OSError:
            pass

    with listening(tmp_path, answer) as path:
        try:
            with pytest.raises(TimeoutError):
                ask(path, {}, within=0.2)
        finally:
            over.set()


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        ask(str(tmp_path / "s"), {}, within=10)


@given(st.binary(max_size=64))
def test_any_answer_is_an_object_or_an_error(tmp_path_factory: pytest.TempPathFactory, told: bytes) -> None:
    with listening(tmp_path_factory.mktemp("s"), lambda connection, _: connection.sendall(told)) as path:
        try:
            assert isinstance(ask(path, {}, within=10), dict)
        except ValueError:
            pass
