"""The server as a whole: its parts, its life, and how a call is answered."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import traceback
from collections import deque
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from .access import Throttle, admit, identify
from .answers import JSON, Answer, RefusalError, plain, refused
from .calls import Call, find
from .connection import GATEWAY, Connection, Listener
from .faults import Faults
from .hooks import Hooks
from .snapshot import told
from .state import State
from .uploads import TusFile
from .workers import Workers

ADMIN = ("admin", "secret-of-the-tests-1")
"""The account that a server starts with."""
VERSION = "2.73.0"


class CvatServer:
    """A server that behaves as CVAT 2.73, with its own state; a context manager.

    Args:
        seed: of the faults that are drawn, and of what the server chooses at random.
        folder: where the bytes of images and exports go; a temporary one that is removed with the server by default.
        admin: name and password of the account that it starts with.
        anonymous_a_minute: requests without credentials before 429; CVAT has 100, and None is no limit.
        work_seconds: how long a background request takes at least.
        by_hand: background requests move on only by ``workers.begin``, ``end`` and ``end_all``.
        largest_request: bytes of a body before 413, as the proxy in front of a real server has it; None is no limit.
        version: what ``/api/server/about`` says.
        ahead: by how much its clock is before this machine's; may be negative.
        hooks: deliver web-hooks.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        seed: int = 0,
        folder: Path | None = None,
        admin: tuple[str, str] = ADMIN,
        anonymous_a_minute: int | None = None,
        work_seconds: float = 0.0,
        by_hand: bool = False,
        largest_request: int | None = None,
        version: str = VERSION,
        ahead: timedelta = timedelta(),
        hooks: bool = True,
    ) -> None:
        self._temporary = Path(tempfile.mkdtemp(prefix="cvat-server-")) if folder is None else None
        self.state = State(folder or self._temporary or Path(), ahead)
        self.state.add_user(*admin, admin=True)
        self.seed = seed
        self.faults = Faults(seed)
        self.throttle = Throttle(anonymous_a_minute)
        self.workers = Workers(self.state, seconds=work_seconds, by_hand=by_hand)
        self.hooks = Hooks(self.state, enabled=hooks)
        self.tus: dict[str, TusFile] = {}
        self.version = version
        self.largest_request = largest_request
        self.bugs: list[str] = []
        """What went wrong in a handler; the ``with`` statement raises it."""
        self.log: deque[dict[str, Any]] = deque(maxlen=20_000)
        """What was asked, oldest first: time, method, path, query, status, fault; headers without credentials."""
        self._http = Listener(("127.0.0.1", port), Connection)
        self._http.cvat = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), name="cvat-http", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def start(self) -> Self:
        self._thread.start()
        return self

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._http.drop_connections()
        self.workers.close()
        self.hooks.close()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close()
        if self.bugs and kind is None:
            raise AssertionError("the tests' server broke: " + "; ".join(self.bugs))

    def requests(self, method: str = "", path: str = "") -> list[dict[str, Any]]:
        """The logged requests with this method, and this text in their path."""
        return [row for row in list(self.log) if method in ("", row["method"]) and path in row["path"]]

    def answer(self, call: Call) -> Answer:
        """Carries a call out, under the lock."""
        if call.path.startswith("/__"):
            return _steered(self, call)
        if self.largest_request is not None and len(call.body) > self.largest_request:
            return plain(413, GATEWAY.format("413 Request Entity Too Large"))
        allow = ""
        try:
            with self.state.lock:
                handler, public, arguments, allow = find(call.method, call.path)
                identify(call)
                admit(call, public)
                result = handler(call, *arguments)
            if not isinstance(result, Answer):
                result = result()
        except RefusalError as refusal:
            result = refusal.answer
        except Exception as error:
            # A bug of this server must not pass for one that it imitates.
            self.bugs.append(f"{call.method} {call.path}: {error!r} at {traceback.extract_tb(error.__traceback__)[-1]}")
            result = plain(500, f"a bug of the tests' server: {error!r}")
        if allow and result.type != plain(0, "").type:
            result.headers.append(("Allow", allow))
        return result


def _steered(cvat: CvatServer, call: Call) -> Answer:
    """The server's own side door, for the tests of another process: faults, and what it holds."""
    if call.path == "/__faults__":
        value: Any = cvat.faults.steer(json.loads(call.body)) if call.method == "POST" else cvat.faults.told()
    elif call.path == "/__state__":
        value = told(cvat.state)
    elif call.path == "/__log__":
        value = list(cvat.log)
    else:
        return refused(404, {"detail": "Not found."}).answer
    return Answer(200, json.dumps(value).encode(), JSON)
