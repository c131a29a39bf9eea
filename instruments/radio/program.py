"""A program that records: started with what makes it tell at once that it is ready, stopped by SIGINT.

It dies with the bench: a recorder that outlives a killed runner would hold the modem's port for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.errors import InstrumentError, InstrumentTimeout

READY_WITHIN: Final = 25.0
"""Real seconds: scat asks a serial port for 18 of them."""
STOP_WITHIN: Final = 4.0
"""Real seconds after SIGINT: scat takes its log masks back."""
_TAIL: Final = 12


def find(name: str, *, places: Sequence[Path] = ()) -> str | None:
    """Return the program's path: as given, on the search path, or in one of ``places``."""
    if "/" in name:
        return name if os.access(name, os.X_OK) else None
    return shutil.which(name) or next((str(at / name) for at in places if os.access(at / name, os.X_OK)), None)


class Program:
    """One process. ``on_line`` is told every line it writes, of both outputs."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        ready: re.Pattern[str],
        on_line: Callable[[str], None],
        variables: Mapping[str, str] | None = None,
        on_end: Callable[[int], None] = lambda code: None,
    ) -> None:
        self.argv = tuple(argv)
        self.name = Path(argv[0]).name
        self.tail: deque[str] = deque(maxlen=_TAIL)
        self._ready_sign = ready
        self._on_line = on_line
        self._on_end = on_end
        self._variables = dict(variables or {})
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._ended = asyncio.Event()
        self._stopping = False

    @property
    def pid(self) -> int:
        """Of the process, 0 before it was started."""
        return self._process.pid if self._process is not None else 0

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._process is not None and not self._ended.is_set()

    @property
    def is_ready(self) -> bool:
        """Whether it has said that it records."""
        return self._ready.is_set() and not self._ended.is_set()

    async def start(self) -> None:
        """Start it. Raises InstrumentError when it cannot be."""
        argv = list(self.argv)
        dies_with_us = shutil.which("setpriv")
        if dies_with_us:
            argv = [dies_with_us, "--pdeathsig", "KILL", "--", *argv]
        try:
            self._process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", **self._variables},
                process_group=0,  # Ctrl-C at a terminal is for the bench, which stops it in its turn
            )
        except OSError as error:
            raise InstrumentError(f"{self.name} cannot be started: {error.strerror}", where=argv[0]) from error
        self._watch = asyncio.create_task(self._follow(), name=f"output of {self.name}")

    async def _follow(self) -> None:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        while True:
            try:
                raw = await process.stdout.readline()
            except ValueError:  # a line without an end
                continue
            if not raw:
                break
            line = raw.decode("utf-8", "replace").rstrip()
            if line:
                self.tail.append(line)
                if self._ready_sign.search(line):
                    self._ready.set()
                self._on_line(line)
        code = await process.wait()
        self._ended.set()
        if not self._stopping:
            self._on_end(code)

    async def wait_ready(self, *, within: float = READY_WITHIN) -> None:
        """Wait until it says that it records. Raises InstrumentTimeout, InstrumentError when it has ended."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self._ready, self._ended)]
        try:
            await asyncio.wait(waits, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        said = " | ".join(self.tail) or "nothing"
        if self._ended.is_set():
            code = self._process.returncode if self._process is not None else None
            raise InstrumentError(f"{self.name} ended with exit code {code}; it said: {said}", where=self.argv[0])
        if not self._ready.is_set():
            raise InstrumentTimeout(
                f"{self.name} was not ready within {within:g} s; it said: {said}",
                where=self.argv[0],
                hint="is it the right port, and does nobody else use it?",
            )

    async def stop(self) -> None:
        """End it: SIGINT, so that it writes what it has, then without asking. Never raises."""
        self._stopping = True
        process = self._process
        if process is None:
            return
        for number, patience in ((signal.SIGINT, STOP_WITHIN), (signal.SIGTERM, 0.3), (signal.SIGKILL, 2.0)):
            if self._ended.is_set():
                break
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._ended.wait()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
