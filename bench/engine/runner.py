"""The runner process: drivers, recipe, the writer of the run folder. Started by the supervisor (DESIGN.md section 3).

Descriptors: 3 link to the supervisor, 4 locks to the supervisor, 5 and 6 the lifeline of services (they end when its
writing end is closed everywhere: in this process and in the supervisor).
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Wait for the order while importing, carry it out, exit without the interpreter's clean-up."""
    for fd in (3, 4, 5, 6):
        os.set_inheritable(fd, False)
    # The terminal's signals are the supervisor's business; it tells this process what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    code = 70
    try:
        code = _run(socket.socket(fileno=3), socket.socket(fileno=4))
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                pass
        os._exit(code)


def _run(link_socket: socket.socket, locks_socket: socket.socket) -> int:
    import asyncio
    import faulthandler
    from pathlib import Path

    from bench import buffers
    from bench.engine import link
    from bench.engine.session import Session
    from bench.run import folder as places

    link_socket.setblocking(True)
    message = link.receive(link_socket)
    if message is None or message["type"] != "order":
        return 0  # refused before it began
    folder = Path(message["folder"])
    log = os.open(folder / places.RUNNER_LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    stack = (folder / places.STACK).open("w", encoding="utf-8")
    faulthandler.register(signal.SIGUSR1, file=stack, all_threads=True)
    faulthandler.enable(all_threads=True)
    buffers.limit()
    session = Session(folder, link_socket, locks_socket, lifeline=5, supervisor=int(message["supervisor"]))
    return asyncio.run(session.run())
