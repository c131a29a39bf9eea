"""Telling people: a webhook and a mail command, bounded in time, never in the way of the soak."""

from __future__ import annotations

import json
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from bench.soak.plan import Tell

Told = Callable[[Mapping[str, Any]], None]


class Alerts:
    """Sends in threads of its own. ``told`` is given what became of each attempt."""

    def __init__(self, tell: Tell, told: Told) -> None:
        self._tell = tell
        self._told = told
        self._threads: list[threading.Thread] = []

    def send(self, kind: str, subject: str, body: str, data: Mapping[str, Any]) -> None:
        """Tell everybody; returns at once."""
        if not self._tell.webhook and not self._tell.mail:
            return
        thread = threading.Thread(target=self._send, args=(kind, subject, body, dict(data)), daemon=True)
        self._threads = [*(item for item in self._threads if item.is_alive()), thread]
        thread.start()

    def finish(self) -> None:
        """Wait for what is on its way, as long as the plan allows."""
        for thread in self._threads:
            thread.join(timeout=self._tell.within + 1)

    def _send(self, kind: str, subject: str, body: str, data: Mapping[str, Any]) -> None:
        if self._tell.webhook:
            self._told({"kind": kind, "by": "webhook", "error": self._post(kind, subject, body, data)})
        if self._tell.mail:
            self._told({"kind": kind, "by": "mail", "error": self._mail(subject, body)})

    def _post(self, kind: str, subject: str, body: str, data: Mapping[str, Any]) -> str:
        content = json.dumps({"kind": kind, "subject": subject, "text": body, **data}, default=str).encode()
        if not self._tell.webhook.startswith(("http://", "https://")):
            return "a webhook is an http:// or https:// address"
        request = urllib.request.Request(
            self._tell.webhook, data=content, headers={"Content-Type": "application/json"}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=self._tell.within) as answer:
                return "" if answer.status < 300 else f"HTTP {answer.status}"
        except (OSError, ValueError) as error:
            return str(error.reason) if isinstance(error, urllib.error.URLError) else str(error)

    def _mail(self, subject: str, body: str) -> str:
        command = [word.replace("{subject}", subject) for word in self._tell.mail]
        try:
            done = subprocess.run(
                command,
                input=body.encode(),
                timeout=self._tell.within,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                check=False,
            )
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            return str(error)
        return (
            "" if done.returncode == 0 else f"exit code {done.returncode}: {done.stderr.decode(errors='replace')[:300]}"
        )
