"""``bench web``: the screens in a browser, for who has the token."""

from __future__ import annotations

import importlib
import ipaddress
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click


@click.command(epilog="Example: bench web --port 8765   (from elsewhere: ssh -L 8765:127.0.0.1:8765 HOST)")
@click.option("--listen", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=8765, show_default=True, help="Port.")
@click.option("--url", default="", help="Address as browsers know it, behind a proxy with TLS.")
@click.option("--readonly", is_flag=True, help="The screens only look; SAFE works all the same.")
@click.pass_obj
def web(obj: Mapping[str, Any], listen: str, port: int, url: str, readonly: bool) -> None:
    """Serve the screens to a browser, with a SAFE button outside the terminal.

    Prints an address with a token ($BENCH_WEB_TOKEN, else a new one): without it nothing is shown. Each tab is a client
    of its own; closing it, or this command, leaves every run going. Ctrl-C ends it.
    """
    from bench.errors import ConfigurationError

    try:
        module = importlib.import_module("bench.tui.web.server")
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"bench web needs {error.name}, which is not installed", hint="pip install 'esim-bench[web]'"
        ) from error
    token = os.environ.get("BENCH_WEB_TOKEN", "").strip() or secrets.token_urlsafe(24)
    path = Path(obj["config"]).absolute() if obj.get("config") else None
    server = module.BenchServer(token, host=listen, port=port, config=path, readonly=readonly, url=url.rstrip("/"))
    click.echo(f"{server.public_url}/?token={token}")
    if not _loopback(listen) and not url.startswith("https"):
        click.echo(
            "! without TLS everybody on that network can read the token: use ssh -L, or a proxy with --url", err=True
        )
    module.serve(server)


def _loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
