"""A thread that owns something which blocks: one job at a time, with a deadline; a job that hangs is abandoned.

The thread is a daemon and is left behind with whatever it hangs in; the next job runs in a new one, over things made
anew. Transport time is real: while a job runs, station time is held (``clock.busy``).
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from bench.errors import InstrumentTimeout
from bench.station.clock import Clock

T = TypeVar("T")
CARD: Final = "does the card still answer? Take it out and put it back, or restart the PC/SC daemon"
_Jobs = queue.SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None]


class Owner:
    """Runs jobs in a thread. ``abandoned`` is called on the loop when a thread was left behind.

    What ``abandoned`` returns runs in that thread if its job ends after all: to let go of what it still holds.
    """

    def __init__(
        self, name: str, clock: Clock, abandoned: Callable[[], Callable[[], None] | None], *, hint: str = CARD
    ) -> None:
        """``hint``: what a person does about a job that hangs."""
        self.left_behind = 0
        """Threads that hang, or hung."""
        self._name = name
        self._clock = clock
        self._abandoned = abandoned
        self._hint = hint
        self._loop = asyncio.get_running_loop()
        self._turn = asyncio.Lock()
        self._busy = False
        """A job runs, perhaps one that nobody waits for any more."""
        self._idle = asyncio.Event()
        self._jobs: _Jobs = queue.SimpleQueue()
        self._start()

    def _start(self) -> None:
        self._jobs = queue.SimpleQueue()
        threading.Thread(target=self._own, args=(self._jobs,), name=self._name, daemon=True).start()

    def _own(self, jobs: _Jobs) -> None:
        while (item := jobs.get()) is not None:
            job, done = item
            result: Any = None
            failure: BaseException | None = None
            try:
                result = job()
            except BaseException as error:
                failure = error
            try:
                self._loop.call_soon_threadsafe(self._finish, jobs, done, result, failure)
            except RuntimeError:  # the loop is closed: nobody waits any more
                return

    def _finish(self, jobs: _Jobs, done: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
        if jobs is self._jobs:
            self._busy = False
            self._idle.set()
        if done.done():
            return
        if failure is None:
            done.set_result(result)
        else:
            done.set_exception(failure)

    async def run(
        self, job: Callable[[], T], *, timeout: float, what: str, alive: Callable[[], float] | None = None
    ) -> T:
        """Run ``job`` in the thread. ``timeout`` in real seconds; ``what`` names the job in messages.

        ``alive`` returns the moment (``time.monotonic``) of the last step of a job that has several: ``timeout`` then
        holds for each of them.

        The job of a cancelled task ends by itself; whoever comes next waits for it, for as long as its own timeout
        allows. Raises InstrumentTimeout when the thread had to be abandoned, and what the job raises.
        """
        with self._clock.busy():
            async with self._turn:
                if self._busy:
                    await self._wait_idle(timeout, what)
                done: asyncio.Future[T] = self._loop.create_future()
                self._busy = True
                self._jobs.put((job, done))

                expiry: asyncio.TimerHandle

                def expire() -> None:
                    nonlocal expiry
                    if done.done():
                        return
                    left = alive() + timeout - time.monotonic() if alive is not None else 0.0
                    if left > 0:
                        expiry = self._loop.call_later(left, expire)
                    else:
                        done.set_exception(self._abandon(what, timeout))

                expiry = self._loop.call_later(timeout, expire)
                try:
                    return await done
                finally:
                    expiry.cancel()

    async def _wait_idle(self, timeout: float, what: str) -> None:
        self._idle.clear()
        try:
            async with asyncio.timeout(timeout):
                await self._idle.wait()
        except TimeoutError:
            raise self._abandon(f"what ran before {what}", timeout) from None

    def _abandon(self, what: str, timeout: float) -> InstrumentTimeout:
        self._busy = False
        self.left_behind += 1
        jobs = self._jobs
        self._start()
        let_go = self._abandoned()
        if let_go is not None:
            nobody: asyncio.Future[Any] = self._loop.create_future()
            nobody.cancel()
            jobs.put((let_go, nobody))
        jobs.put(None)
        return InstrumentTimeout(
            f"{what} did not end within {timeout:g} s and was given up",
            where=self._name,
            hint=self._hint,
        )

    def end(self) -> None:
        """Let the thread end after its present job."""
        self._jobs.put(None)
