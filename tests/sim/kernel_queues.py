"""Whether this kernel tells what is queued in a socket (tcp_diag): without it a busy host shows in station time."""

from __future__ import annotations

import asyncio
import socket

import pytest

from fixtures.sim.queues import SocketQueues, request_for


class _Ends(asyncio.BaseTransport):
    def __init__(self, ours: socket.socket) -> None:
        super().__init__({"sockname": ours.getsockname(), "peername": ours.getpeername()})


def kernel_tells() -> bool:
    """Ask about a connection that is there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname(), timeout=10.0):
            ours, _ = server.accept()
            with ours:
                queues = SocketQueues()
                try:
                    return queues.ask(request_for(_Ends(ours))) is not None
                finally:
                    queues.close()


needs_tcp_diag = pytest.mark.skipif(not kernel_tells(), reason="this kernel has no tcp_diag (modprobe tcp_diag)")
