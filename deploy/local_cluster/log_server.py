"""Where an API server asks a kubelet for logs: HTTPS on loopback, with a certificate made at start."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
import tempfile
from collections.abc import Callable

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.clock import SystemClock

LogText = Callable[[str, str, str, bool], str | None]
"""Namespace, pod, container, previous -> the log, or None."""


class LogServer:
    """Serves ``/containerLogs/<namespace>/<pod>/<container>`` on a free port of 127.0.0.1."""

    def __init__(self, log_text: LogText) -> None:
        self._log_text = log_text
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=_own_certificate()).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is None:
            return
        for handler in self._runner.server.connections if self._runner.server is not None else ():
            if handler.transport is not None:
                handler.transport.abort()  # an API server keeps its connections; a polite end of TLS would wait for it
        await self._runner.cleanup()
        self._runner = None

    async def _serve(self, request: web.Request) -> web.Response:
        names = request.match_info
        previous = request.query.get("previous") == "true"
        text = self._log_text(names["namespace"], names["pod"], names["container"], previous)
        if text is None:
            what = "previous terminated container" if previous else "container"
            return web.Response(status=400, text=f'{what} "{names["container"]}" in pod "{names["pod"]}" not found')
        if request.query.get("tailLines"):
            wanted = int(request.query["tailLines"])
            text = "".join(text.splitlines(keepends=True)[-wanted:]) if wanted else ""
        return web.Response(text=text)


def _own_certificate() -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fake-kubelet")])
    now = SystemClock().wall()
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with tempfile.NamedTemporaryFile() as pair:  # the ssl module reads files only
        pair.write(certificate.public_bytes(pem) + secret)
        pair.flush()
        tls.load_cert_chain(pair.name)
    return tls
