"""Which CVAT a test talks to: the one of the tests, or a real one that the environment names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .server import ADMIN, CvatServer

URL, USER, PASSWORD = "DATAENGINE_TEST_CVAT_URL", "DATAENGINE_TEST_CVAT_USERNAME", "DATAENGINE_TEST_CVAT_PASSWORD"


@dataclass(frozen=True, slots=True)
class Where:
    """A server that runs.

    Attributes:
        admin: name and password of an administrator.
        server: the server itself where it is the tests' own, so that it can be told to fail and be looked into.
    """

    url: str
    admin: tuple[str, str]
    server: CvatServer | None


@contextmanager
def running(**options: Any) -> Iterator[Where]:
    """A real server where ``DATAENGINE_TEST_CVAT_URL`` names one, else a new one of the tests with these options."""
    if url := os.environ.get(URL):
        yield Where(url, (os.environ.get(USER, ADMIN[0]), os.environ.get(PASSWORD, "")), None)
        return
    with CvatServer(**options) as server:
        yield Where(server.url, ADMIN, server)
