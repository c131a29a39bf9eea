"""The runner's end of its link: heartbeats from the event loop, stop and answers from the supervisor."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bench.engine import link
from bench.station.interfaces import SafeAction


class Leash:
    """Beats as long as the event loop turns, and says what the supervisor wants."""

    def __init__(
        self,
        connection: socket.socket,
        *,
        activity: Callable[[], int],
        stopped: Callable[[Mapping[str, Any]], None],
        answered: Callable[[Mapping[str, Any]], None],
        gone: Callable[[], None],
        teardown_within: float,
    ) -> None:
        self.phase = link.STARTING
        self.alone = False
        """The supervisor is gone."""
        self.teardown_within = teardown_within
        self._connection = connection
        self._activity = activity
        self._stopped = stopped
        self._answered = answered
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._planned: asyncio.Future[None] = self._loop.create_future()
        connection.setblocking(False)
        self._loop.add_reader(connection.fileno(), self._readable)
        self._beat()

    def enter(self, phase: str) -> None:
        """Tell the supervisor what this process is doing now."""
        self.phase = phase
        if self._timer is not None:
            self._timer.cancel()
        self._beat()

    async def plan(self, actions: Sequence[SafeAction], world: Mapping[str, object] | None) -> None:
        """Hand over the safe sequence; returns when the supervisor has it, before which nothing may be switched."""
        data = [{**asdict(action), "options": dict(action.options)} for action in actions]
        if self.alone or not link.send(self._connection, "plan", actions=data, world=world):
            return
        await self._planned

    def tell(self, kind: str, **data: Any) -> None:
        """Send a message; a supervisor that is gone is no error here."""
        link.send(self._connection, kind, **data)

    def close(self) -> None:
        """Stop beating; the connection stays open until the process ends."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._connection.fileno())

    def _beat(self) -> None:
        self.tell("beat", phase=self.phase, activity=self._activity(), teardown_within=self.teardown_within)
        pause = link.BEAT if self.phase in (link.STARTING, link.RUNNING) else link.BEAT_ENDING
        self._timer = self._loop.call_later(pause, self._beat)

    def _readable(self) -> None:
        while True:
            try:
                message = link.receive(self._connection)
            except BlockingIOError:
                return
            if message is None:
                self.alone = True
                self._loop.remove_reader(self._connection.fileno())
                if not self._planned.done():
                    self._planned.set_result(None)
                self._gone()
                return
            if message["type"] == "stop":
                self.tell("ack")
                self._stopped(message)
            elif message["type"] == "answer":
                self._answered(message)
            elif message["type"] == "planned" and not self._planned.done():
                self._planned.set_result(None)
