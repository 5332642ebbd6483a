"""The app put together, and the server that runs it."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import json
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import Depends, FastAPI
from starlette.middleware import Middleware
from starlette.staticfiles import StaticFiles

from data_engine.annotation.accounts import FILE as ACCOUNTS
from data_engine.annotation.accounts import Accounts
from data_engine.app.engine import Engine
from data_engine.errors import ConflictError, DamagedInputError, DataEngineError, MissingInputError, UsageError
from data_engine.stages.base import Silent
from data_engine.web import (
    annotate,
    look,
    look_frames,
    look_lineage,
    look_versions,
    pictures,
    refusals,
    review,
    signin,
    wheel,
)
from data_engine.web.attempts import Attempts
from data_engine.web.board import warm
from data_engine.web.guard import guard
from data_engine.web.headers import LOOPBACK_NAMES, Bounded, KnownNames, SafetyHeaders
from data_engine.web.pool import EnginePool
from data_engine.web.refusals import Refused
from data_engine.web.render import FOLDER
from data_engine.web.session import FILE as SESSIONS
from data_engine.web.session import Sessions
from data_engine.web.site import Config, Site

log = logging.getLogger(__name__)

MODULES = (signin, pictures, annotate, review, wheel, look, look_frames, look_versions, look_lineage)
"""Those with routes."""
_BACKLOG = 256
_GRACE_S = 5
"""How long requests may go on when the server is told to end."""


class Assets(StaticFiles):
    """Files of this program: a browser asks each time whether they have changed."""

    def file_response(self, *arguments: object, **more: object) -> object:  # type: ignore[override]
        """As of the class above."""
        answer = super().file_response(*arguments, **more)  # type: ignore[arg-type]
        answer.headers["cache-control"] = "no-cache"
        return answer


def nothing() -> None:
    """No page of this site."""
    raise Refused(404, "there is no such page")


def create_app(pool: EnginePool, config: Config) -> FastAPI:
    """The app over one workspace.

    Args:
        pool: the engines that requests work with.
        config: how it is served.
    """

    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        # A database that does not answer yet is told of by the pages.
        with contextlib.suppress(DataEngineError):
            async with pool.lend() as engine:
                warm(app, engine)
        yield
        pool.close()

    names = tuple(dict.fromkeys((*LOOPBACK_NAMES, *config.names))) if config.loopback else config.names
    app = FastAPI(
        title="dataengine",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=life,
        dependencies=[Depends(guard)],
        middleware=[Middleware(SafetyHeaders), Middleware(KnownNames, names=names), Middleware(Bounded)],
    )
    app.state.site = Site(
        config=config,
        pool=pool,
        accounts=Accounts(config.accounts),
        sessions=Sessions(config.sessions, hours=config.session_hours, clock=config.clock),
        attempts=Attempts(),
    )
    refusals.install(app)
    app.mount("/static", Assets(directory=FOLDER / "static"), name="static")
    app.mount("/vendor", Assets(directory=FOLDER / "vendor", check_dir=False), name="vendor")
    for module in MODULES:
        app.include_router(module.router)
    # Last, and guarded as all are: what is not there looks the same to strangers as what is.
    app.add_api_route("/{rest:path}", nothing)
    return app


def run(engine: Engine, *, redact: Callable[[str], str] = str, ready: Callable[[str], None]) -> None:
    """Serve a workspace's pages until interrupted.

    Args:
        engine: the workspace; its settings say where.
        redact: takes secrets out of what is said to people.
        ready: told the address once it answers.

    Raises:
        UsageError: beyond this machine without accounts, or no such address.
        ConflictError: the port is taken.
        MissingInputError: the browser's libraries or the certificate are not there.
    """
    settings = engine.settings.serve
    config = config_of(engine, redact)
    refuse_open_house(config, settings.host)
    refuse_without_libraries()
    tls = _tls(settings.certificate, settings.key)
    if not config.loopback and not tls:
        engine.progress.note("without --certificate and --key what is typed can be read on the way, passwords too")
    listening = _listen(settings.host, settings.port)
    with contextlib.closing(listening):
        pool = EnginePool(lambda: engine.another(Silent()))
        server = _Server(
            uvicorn.Config(
                create_app(pool, config),
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE_S,
                **tls,
            ),
            lambda: ready(address_of(listening, "https" if tls else "http")),
        )
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listening])


def config_of(engine: Engine, redact: Callable[[str], str] = str) -> Config:
    """How a workspace is served, by its settings."""
    settings = engine.settings.serve
    return Config(
        root=engine.root,
        accounts=engine.storage.path(ACCOUNTS),
        sessions=engine.storage.path(SESSIONS),
        clock=engine.clock,
        backend=engine.settings.annotation.backend,
        loopback=is_loopback(settings.host),
        # Bound to one address of this machine, it answers to that one, too.
        names=(*settings.names, settings.host.strip("[]")) if is_loopback(settings.host) else settings.names,
        session_hours=settings.session_hours,
        redact=lambda text: redact(engine.readable(text)),
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def refuse_open_house(config: Config, host: str) -> None:
    """Raise UsageError where others would reach pages that ask for no password."""
    if config.loopback or Accounts(config.accounts).all():
        return
    raise UsageError(
        f"--host {host} lets other machines in, and nobody has an account: everybody could do anything",
        hint="make accounts first: dataengine team add NAME --email ADDRESS --role admin",
    )


def refuse_without_libraries() -> None:
    """Raise MissingInputError where the browser's libraries were not put in place when this package was built."""
    libraries = json.loads((FOLDER / "package.json").read_text("utf-8"))["dataengine"]["vendor"]
    missing = [name for name in libraries if not (FOLDER / "vendor" / name).is_file()]
    if missing:
        raise MissingInputError(
            f"the pages lack what they load: {', '.join(missing)}",
            hint="install again where packages can be fetched: pip install . in your checkout of dataengine",
        )


def address_of(listening: socket.socket, scheme: str = "http") -> str:
    """``http://host:port`` of a socket."""
    host, port = listening.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _listen(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _name, where = found[0]
        made = socket.socket(family, kind, protocol)
    except OSError:
        raise UsageError(f"{host!r} is no address of this machine", hint="--host 127.0.0.1") from None
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(where)
        made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        if isinstance(error, PermissionError):
            raise UsageError(f"port {port} may not be opened by this account", hint="choose one above 1023") from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise UsageError(f"{host!r} is no address of this machine", hint="--host 127.0.0.1") from None
        reason = (error.strerror or str(error)).lower()
        raise ConflictError(f"{host}:{port} cannot be listened on: {reason}", hint="choose another --port") from None
    return made


def _tls(certificate: str | None, key: str | None) -> dict[str, Any]:
    if certificate is None and key is None:
        return {}
    if certificate is None or key is None:
        raise UsageError("a certificate goes with its key", hint="--certificate FILE --key FILE")
    for name in (certificate, key):
        if not Path(name).is_file():
            raise MissingInputError(f"{name} is not there")
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError):
        raise DamagedInputError(f"{certificate} and {key} are no certificate and its key, in PEM") from None
    return {"ssl_certfile": certificate, "ssl_keyfile": key}


class _Server(uvicorn.Server):
    """Tells when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()
