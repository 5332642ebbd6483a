"""A CVAT server for the tests: it keeps state, answers as CVAT 2.73 does, and fails when it is told to.

The real ``cvat-sdk`` talks to it over a socket.  In a test's own process: ``with CvatServer() as server: …``; as a
process of its own, which outlives the clients that a test kills: ``python -m tests.cvat_server``.
"""

from . import accounts, exports, jobs, projects, quality, review, tasks
from .faults import Faults
from .server import ADMIN, CvatServer

ROUTES = (accounts, exports, jobs, projects, quality, review, tasks)
"""Their handlers register themselves as they are imported."""

__all__ = ["ADMIN", "CvatServer", "Faults"]
