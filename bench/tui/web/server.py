"""A server of the screens: one process of the application a browser tab, all of them clients of the same runs.

Who has the token may do what the user of this server may. It comes once in the address, from then on in a cookie that
no script reads and no other site sends. The SAFE button is the page's own: it works when the terminal does not.
"""

from __future__ import annotations

import asyncio
import hmac
import shlex
import sys
from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

from bench.tui.control import ClientControl

COOKIE: Final = "bench_token"
_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self' ws: wss:; frame-ancestors 'self'"
)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BenchServer(Server):
    """Serves ``/`` (the page with the button), the terminal inside it, and ``POST /safe``."""

    def __init__(
        self, token: str, *, host: str, port: int, config: Path | None = None, readonly: bool = False, url: str = ""
    ) -> None:
        """``url``: as which browsers know it, where a proxy with TLS stands in front."""
        words = [sys.executable, "-m", "bench.tui.app"]
        words += ["--config", str(config)] if config else []
        words += ["--readonly"] if readonly else []
        shown = f"[{host}]" if ":" in host else host
        super().__init__(
            shlex.join(words), host=host, port=port, title="esim-bench", public_url=url or f"http://{shown}:{port}"
        )
        self._token = token
        self._control = ClientControl(config)

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._guarded(request, handler)

        app.middlewares.append(guard)
        app.router.add_post("/safe", self.handle_safe)
        return app

    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let in who has the token, from this site alone."""
        given = request.query.get("token", "")
        if given and hmac.compare_digest(given.encode(), self._token.encode()):
            answer: web.StreamResponse = web.HTTPFound(f"{self.public_url}/")
            secure = self.public_url.startswith("https")
            answer.set_cookie(COOKIE, self._token, httponly=True, samesite="Strict", secure=secure, path="/")
            return answer
        kept = request.cookies.get(COOKIE, "")
        if not hmac.compare_digest(kept.encode(), self._token.encode()):
            raise web.HTTPUnauthorized(text="The token is missing: use the address that 'bench web' has printed.\n")
        origin = request.headers.get("Origin", "")
        if (origin or request.path == "/ws") and urlsplit(origin).netloc != urlsplit(self.public_url).netloc:
            raise web.HTTPForbidden(text="This page is not of this server.\n")
        answer = await handler(request)
        if not isinstance(answer, web.WebSocketResponse):
            answer.headers["Content-Security-Policy"] = _POLICY
            answer.headers["Referrer-Policy"] = "no-referrer"
            answer.headers["Cache-Control"] = "no-store"
        return answer

    async def handle_index(self, request: web.Request) -> web.StreamResponse:
        """The page with the button; with ``?terminal`` what is inside it."""
        if "terminal" in request.query:
            inside: web.StreamResponse = await super().handle_index(request)
            return inside
        page = files("bench.tui.web").joinpath("page.html").read_text("utf-8")
        return web.Response(text=page, content_type="text/html")

    async def handle_safe(self, request: web.Request) -> web.Response:
        """Make safe what this user holds, with ``all`` the whole host; answers what was done."""
        try:
            wanted = await request.json()
            everything = bool(wanted["all"])
        except (ValueError, KeyError, TypeError):
            raise web.HTTPBadRequest(text='{"all": true or false} is due\n') from None
        told = await asyncio.to_thread(self._make_safe, everything)
        return web.json_response({"told": told})

    def _make_safe(self, everything: bool) -> str:
        if everything:
            return self._control.safe(None).replace("SAFE:", "SAFE (whole host):", 1)
        mine = self._control.overview().mine
        if not mine:
            return "SAFE: you hold nothing; a second click within 2 s makes every station of this host safe"
        return self._control.safe(mine).replace("SAFE:", "SAFE (what you hold):", 1)

    async def on_startup(self, app: web.Application) -> None:
        """Say nothing: the command has printed the address."""

    def initialize_logging(self) -> None:
        """Log nothing: addresses have the token in them."""


def serve(server: Any) -> None:
    """Serve until a signal."""
    server.serve()
