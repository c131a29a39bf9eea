"""Service processes: eIM, SM-DP+ and the simulated world, started from the entry points of ``bench.services``.

Each is a process group of its own that prints one JSON line when it listens. The simulated world is started without
a lifeline and so survives the runner: the supervisor can still switch its supply off, and then ends it by ``pid``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from bench.errors import InstrumentError
from bench.station.drivers import load_service

MAX_LINE = 1 << 20
_TAIL = 2000


def _nothing() -> None:
    pass


class ServiceDefinition(Protocol):
    """What an entry point of ``bench.services`` names."""

    def argv(self, home: Path, options: Mapping[str, object]) -> list[str]:
        """Return the program to start; it prints one JSON line when everything listens."""

    def client(self, announcement: Mapping[str, Any], home: Path) -> object:
        """Return what recipes use: an EimService, an SmdppService, None for a simulated world."""


def check(name: str, options: Mapping[str, object], *, where: str = "") -> None:
    """Raise ConfigurationError for options that the service would not start with; nothing is started.

    A definition without ``check`` of its own says no more than its ``argv`` does.
    """
    definition = load_service(name, where=where)
    checked = getattr(definition, "check", None)
    if checked is not None:
        checked(options)
    else:
        definition.argv(Path(), options)


class Service:
    """A running service process."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path, pidfd: int) -> None:
        self.name = name
        self.pid = process.pid
        """Of the process, and of its group."""
        self.log = log
        self.announcement: Mapping[str, Any] = {}
        self.client: Any = None
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """Done with the exit code (negative: the signal) when the process has ended, for whatever reason."""
        self._process = process
        self._pidfd = pidfd
        self._readable: Callable[[], None] = _nothing
        asyncio.get_running_loop().add_reader(pidfd, self._ended)

    @property
    def running(self) -> bool:
        """Whether the process is still there."""
        return not self.exited.done()

    def watch_output(self, readable: Callable[[], None]) -> int:
        """Call ``readable`` when there is something on the process's stdout; returns the descriptor."""
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        os.set_blocking(fd, False)
        self._readable = readable
        asyncio.get_running_loop().add_reader(fd, readable)
        return fd

    def ignore_output(self) -> None:
        """Stop reading stdout and close this end of it."""
        output = self._process.stdout
        if output is not None and not output.closed:
            asyncio.get_running_loop().remove_reader(output.fileno())
            output.close()

    def _ended(self) -> None:
        code = self._process.wait()  # the pidfd said it has ended: returns at once
        self._readable()  # what it wrote last
        self._forget()
        self.ignore_output()
        if not self.exited.done():
            self.exited.set_result(code)

    def _forget(self) -> None:
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def signal(self, number: int) -> None:
        """Send a signal to the whole group; a group that is gone is no error."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    async def stop(self, *, deadline: float = 5.0) -> int:
        """End the service: SIGTERM, after ``deadline`` real seconds SIGKILL. Returns the exit code."""
        if self.running:
            self.signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(deadline):
                    await asyncio.shield(self.exited)
            except TimeoutError:
                self.signal(signal.SIGKILL)
                await asyncio.shield(self.exited)
        self.signal(signal.SIGKILL)  # whatever it left in its group
        return self.exited.result()

    def release(self) -> None:
        """Leave the service running and stop watching it: somebody else ends it by its ``pid``."""
        self._forget()
        self.ignore_output()
        self._process.returncode = 0  # so that Popen does not warn about a child that lives on

    def failure(self, what: str) -> InstrumentError:
        """Return the error that says how the service failed, with the end of what it wrote to stderr."""
        tail = tail_of(self.log)
        return InstrumentError(
            f"service {self.name} {what}" + (f":\n{tail}" if tail else ""), where=str(self.log), hint="see its log"
        )


def tail_of(log: Path) -> str:
    """Return the last lines of a log, at most 2000 characters."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL))
            return file.read().decode(errors="replace").strip()
    except OSError:
        return ""


async def start(
    name: str,
    *,
    home: Path,
    options: Mapping[str, object] | None = None,
    log: Path,
    deadline: float = 20.0,
    lifeline: int | None = None,
    where: str = "",
) -> Service:
    """Start a service and wait for its announcement.

    ``log`` receives its stderr (appended). ``lifeline``: a descriptor that becomes its stdin, with ``--with-parent``:
    it ends when that reaches its end; without one it lives until it is stopped. ``deadline`` in real seconds.

    Raises ConfigurationError for an unknown service, InstrumentError when it ends or stays silent, with its last words.
    """
    definition: ServiceDefinition = load_service(name, where=where)
    argv = list(definition.argv(home, options or {}))
    if lifeline is not None:
        argv.append("--with-parent")
    if argv and argv[0] in ("python", "python3"):
        argv[0] = sys.executable
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as errors:
        try:
            process = subprocess.Popen(  # noqa: ASYNC220 - forks in about a millisecond; asyncio's would leave a thread
                argv,
                stdin=subprocess.DEVNULL if lifeline is None else lifeline,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        except OSError as error:
            raise InstrumentError(
                f"service {name} cannot be started: {error.strerror}",
                where=argv[0],
                hint="is the package that brings it installed (.ci/setup)?",
            ) from error
    service = Service(name, process, log, os.pidfd_open(process.pid))
    try:
        service.announcement = await _announcement(service, deadline)
        service.client = definition.client(service.announcement, home)
    except BaseException:
        await asyncio.shield(asyncio.ensure_future(service.stop(deadline=1.0)))
        raise
    return service


async def _announcement(service: Service, deadline: float) -> Mapping[str, Any]:
    """Read the JSON line, then keep emptying the pipe so that the service never blocks on it."""
    line: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    received = bytearray()
    fd = -1

    def readable() -> None:
        try:
            chunk = os.read(fd, 65536)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            service.ignore_output()
            if not line.done():
                line.set_exception(service.failure("closed its output before it announced anything"))
        elif not line.done():
            received.extend(chunk)
            if b"\n" in received:
                line.set_result(bytes(received.partition(b"\n")[0]))
            elif len(received) > MAX_LINE:
                line.set_exception(service.failure("announced more than it should"))

    fd = service.watch_output(readable)
    try:
        async with asyncio.timeout(deadline):
            raw = await line
    except TimeoutError:
        raise service.failure(f"announced nothing within {deadline:g} s") from None
    except InstrumentError:
        # Its exit code says more than the closed pipe.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                code = await asyncio.shield(service.exited)
            raise service.failure(_ending(code)) from None
        raise
    try:
        announcement = json.loads(raw)
    except ValueError:
        announcement = None
    if not isinstance(announcement, dict):
        raise service.failure(f"announced no JSON object but {raw[:200]!r}")
    return announcement


def _ending(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name} before it announced anything"
    return f"ended with exit code {code} before it announced anything"
