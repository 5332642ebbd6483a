"""A workspace's pages in this process, asked without a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from data_engine.annotation import accounts
from data_engine.annotation.accounts import FILE, Accounts
from data_engine.app.engine import open_engine
from data_engine.app.init import init
from data_engine.stages.base import Silent
from data_engine.web.guard import Needs
from data_engine.web.pool import EnginePool
from data_engine.web.server import MODULES, config_of, create_app

ADDRESS = "http://127.0.0.1"
PASSWORD = "password of {}"
HTML = {"accept": "text/html"}


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 8, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **time: float) -> None:
        self.now += timedelta(**time)


@dataclass
class Served:
    """The app over a workspace of its own."""

    root: Path
    app: Any
    clock: Clock

    @property
    def accounts(self) -> Accounts:
        return Accounts(self.root / FILE)

    def client(self, name: str | None = None, role: str = "annotator", **more: Any) -> TestClient:
        """A browser; with a name it is signed in."""
        client = TestClient(self.app, base_url=ADDRESS, follow_redirects=False, **more)
        if name is not None:
            form = {"name": name, "role": role, "password": PASSWORD.format(name)}
            answer = client.post("/signin", data=form, headers={"origin": ADDRESS})
            assert answer.status_code == 303, answer.text
        return client


@contextmanager
def served(root: Path, *, restart: bool = False, **settings: Any) -> Iterator[Served]:
    """The pages of a new workspace."""
    clock = Clock()
    if not restart:
        init(root, classes=("person", "helmet"), progress=Silent())
    overrides = {"serve": settings}
    with (
        # A password is hashed in a good part of a second; every test would do it several times.
        mock.patch.object(accounts, "_N", 2**4),
        open_engine(root, workspace=root, overrides=overrides, progress=Silent(), environ={}, clock=clock) as engine,
    ):
        pool = EnginePool(lambda: engine.another(Silent()))
        yield Served(root, create_app(pool, config_of(engine)), clock)
        pool.close()


def routes() -> list[APIRoute]:
    """Every route of every module."""
    found = [route for module in MODULES for route in module.router.routes if isinstance(route, APIRoute)]
    assert found
    return found


def address_of(route: APIRoute, filled: str = "1") -> str:
    """The route's path with something in the place of its parameters."""
    return re.sub(r"\{[^}]*\}", filled, route.path)


def role_of(route: APIRoute) -> str | None:
    """The role that the route is for; None where any will do."""
    told = [each.dependency.role for each in route.dependencies if isinstance(each.dependency, Needs)]
    return told[-1] if told else None


def csrf_of(client: TestClient) -> str:
    """The token in a page that the client gets."""
    page = client.get("/no-such-page", headers=HTML).text
    (found,) = re.findall(r'<meta name="csrf-token" content="([^"]+)"', page)
    return found
