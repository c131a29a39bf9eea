"""A lab's own eIM and SM-DP+ as a process: a REST dialect of its own, and real ESipa and ES9+ behind it.

Behind it run the bundled servers as processes of their own; the bench knows nothing of them but ``reach`` and ``ca``.
``python -m tests.external.foreign HOME FOLDER`` prints one JSON object when everything listens, and ends with its
standard input. ``POST /faults`` sets what goes wrong from then on.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import ssl
import sys
from pathlib import Path
from typing import Any

from aiohttp import web

from bench.errors import ConfigurationError
from bench.station import services

TOKEN = "foreign-token-0123456789abcdef"
PHASES = {
    "held": "ON_HOLD", "pending": "QUEUED", "sent": "HANDED_OUT", "running": "IN_PROGRESS", "done": "COMPLETED",
    "failed": "FAILED", "cancelled": "WITHDRAWN", "expired": "TIMED_OUT",
}  # fmt: skip
KINDS = {
    "DOWNLOAD": "download", "PROFILE_ENABLE": "enable", "PROFILE_DISABLE": "disable", "PROFILE_DELETE": "delete",
    "AUDIT": "list",
}  # fmt: skip


class Foreign:
    """The dialect. Jobs have references of their own."""

    def __init__(self, eim: Any, smdpp: Any) -> None:
        self.eim = eim
        self.smdpp = smdpp
        self.fault = ""
        self.requests: list[dict[str, str]] = []
        self.jobs: dict[str, dict[str, Any]] = {}
        self.by_request: dict[str, str] = {}
        self.prepared: dict[str, dict[str, Any]] = {}
        self._once: set[str] = set()

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self.guard])
        app.router.add_post("/faults", self.set_fault)
        app.router.add_get("/requests", self.show_requests)
        app.router.add_get("/v2/devices/{eid}", self.device)
        app.router.add_put("/v2/devices/{eid}", self.enrol)
        app.router.add_get("/v2/devices/{eid}/bootstrap-config", self.configuration)
        app.router.add_post("/v2/devices/{eid}/jobs", self.place)
        app.router.add_get("/v2/jobs/{ref}", self.job)
        app.router.add_delete("/v2/jobs/{ref}", self.withdraw)
        app.router.add_post("/rsp/profiles", self.prepare)
        app.router.add_get("/rsp/profiles/{token}", self.profile)
        return app

    @web.middleware
    async def guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path in ("/faults", "/requests"):
            return await handler(request)
        self.requests.append({"method": request.method, "path": request.path, "fault": self.fault})
        if request.headers.get("X-Lab-Token") != f"key={TOKEN}" or self.fault == "unauthorized":
            # Some servers repeat what they were sent.
            told = f"who is {request.headers.get('X-Lab-Token')}?"
            return web.json_response({"problem": {"detail": told}}, status=401)
        if self.fault == "garbage":
            return web.Response(text="<html>please log in</html>", content_type="text/html")
        if self.fault == "slow":
            await asyncio.sleep(3600)
        if self.fault == "failing":
            return web.json_response({"problem": {"detail": "out of order"}}, status=500)
        place = f"{request.method} {request.path}"
        if self.fault == "busy-once" and place not in self._once:
            self._once.add(place)
            return web.json_response({}, status=503, headers={"Retry-After": "0"})
        answer = await handler(request)
        key = request.headers.get("X-Request-Id", "")
        if self.fault == "lost-answers" and request.method == "POST" and key not in self._once:
            self._once.add(key)
            assert request.transport is not None
            request.transport.abort()
        return answer

    async def set_fault(self, request: web.Request) -> web.Response:
        self.fault = (await request.json())["fault"]
        self._once.clear()
        return web.json_response({})

    async def show_requests(self, request: web.Request) -> web.Response:
        return web.json_response({"requests": self.requests, "jobs": list(self.jobs)})

    # --- eIM --------------------------------------------------------------------------------------------------------

    async def device(self, request: web.Request) -> web.Response:
        try:
            found = await self.eim.euicc(request.match_info["eid"])
        except ConfigurationError:
            return web.json_response({"problem": {"detail": "no such device"}}, status=404)
        return web.json_response({"device": {"enrolled": "yes", "counters": {"polls": found["polls"]}}})

    async def enrol(self, request: web.Request) -> web.Response:
        await self.eim.register(request.match_info["eid"])
        return web.Response(status=204)

    async def configuration(self, request: web.Request) -> web.Response:
        data = await self.eim.initial_configuration(request.match_info["eid"])
        return web.json_response({"data": {"asn1": base64.b64encode(data).decode()}})

    async def place(self, request: web.Request) -> web.Response:
        key = request.headers.get("X-Request-Id", "")
        if key not in self.by_request:
            job = (await request.json())["job"]
            kind = KINDS[job["type"]]
            parameters: dict[str, Any] = {}
            if kind == "download":
                parameters["activation_code"] = job["download"]["code"]
            elif kind != "list":
                parameters["iccid"] = job["profile"]["iccid"]
            if kind == "enable":
                parameters["rollback"] = job["options"]["rollback"]
                assert isinstance(parameters["rollback"], bool)
            ref = f"J-{len(self.jobs) + 1}/{kind}"  # a slash, that paths be encoded
            self.jobs[ref] = {"kind": kind, "order": None}
            self.by_request[key] = ref
            if not (self.fault == "swallow-enable" and parameters.get("rollback")):
                order = await self.eim.order(request.match_info["eid"], kind, parameters, key=key or None)
                self.jobs[ref]["order"] = order.order_id
        ref = self.by_request[key]
        return web.json_response({"job": {"ref": ref, "phase": "QUEUED"}}, status=202)

    async def job(self, request: web.Request) -> web.Response:
        found = self.jobs.get(request.match_info["ref"])
        if found is None:
            return web.json_response({"problem": {"detail": "no such job"}}, status=404)
        if found["order"] is None:
            return web.json_response({"job": {"phase": "COMPLETED", "fault": None}})
        order = await self.eim.show(found["order"])
        phase, text = PHASES[order.state], str(order.error.get("what", ""))
        if self.fault == "says-failed" and found["kind"] == "enable":
            phase, text = "FAILED", "the card did not answer us"
        if self.fault == "odd-state":
            phase = "RESTING"
        told: dict[str, Any] = {"phase": phase, "fault": {"text": text} if text else None}
        if order.result.get("profiles"):
            told["inventory"] = [{"icc": item["iccid"], "on": item["enabled"]} for item in order.result["profiles"]]
        return web.json_response({"job": told})

    async def withdraw(self, request: web.Request) -> web.Response:
        found = self.jobs[request.match_info["ref"]]
        if found["order"] is not None:
            with contextlib.suppress(Exception):
                await self.eim.cancel(found["order"])
        return web.Response(status=204)

    # --- SM-DP+ -----------------------------------------------------------------------------------------------------

    async def prepare(self, request: web.Request) -> web.Response:
        given = await request.json()
        assert given["product"] == "IOT-1"
        key = request.headers.get("X-Request-Id", "")
        if key not in self.prepared:
            made = await self.smdpp.order("operational", eid=given.get("target", ""))
            self.prepared[key] = {"icc": made.iccid, "token": made.matching_id, "ttl": None}
        return web.json_response({"result": [self.prepared[key]]})

    async def profile(self, request: web.Request) -> web.Response:
        try:
            found = await self.smdpp.state(request.match_info["token"])
        except ConfigurationError:
            return web.json_response({"problem": {"detail": "no such profile"}}, status=404)
        events = [{"what": str(item["event"]).upper(), "no": item["seq"]} for item in found.notifications]
        return web.json_response({"profile": {"phase": found.state.upper()}, "events": events})


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a self-signed certificate of 127.0.0.1; return certificate and key (PEM)."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a lab's own servers")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "rest.crt.pem", folder / "rest.key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, secret


async def main(home: Path, folder: Path) -> None:
    pem, key = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    lifeline, kept = os.pipe()
    eim, smdpp = await asyncio.gather(
        services.start("eim", home=home, log=folder / "eim.log", lifeline=lifeline),
        services.start("smdpp", home=home, log=folder / "smdpp.log", lifeline=lifeline),
    )
    os.close(lifeline)
    told, offered = eim.announcement, smdpp.announcement
    target = offered["https"].removeprefix("https://")
    await eim.client.set_route(offered["address"], target)
    runner = web.AppRunner(Foreign(eim.client, smdpp.client).application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    announcement = {
        "url": f"https://127.0.0.1:{port}",
        "certificate": str(pem),
        "eim": {"reach": told["https"].removeprefix("https://"), "ca": told["ca"], "eim_id": told["eim_id"],
                "fqdn": told["fqdn"], "coaps": told["coaps"].removeprefix("coaps://")},
        "smdpp": {"reach": target, "ca": offered["ca"], "address": offered["address"]},
    }  # fmt: skip
    print(json.dumps(announcement), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    os.close(kept)
    for client in (eim.client, smdpp.client):
        await client.close()
    await asyncio.gather(eim.stop(), smdpp.stop())
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
