"""Sockets: requests taken apart and logged, faults that strike them, answers sent."""

from __future__ import annotations

import shutil
import socket
import struct
import sys
import time
import uuid
from email.parser import HeaderParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from .access import throttled
from .answers import Answer, RefusalError, server_error
from .calls import Call, Part
from .faults import Rule

if TYPE_CHECKING:
    from .server import CvatServer

_BLANKED = ("authorization", "cookie", "x-csrftoken")
GATEWAY = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n</body>\r\n</html>\r\n"
)
_REASONS = {"502": "502 Bad Gateway", "504": "504 Gateway Time-out"}


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    cvat: CvatServer

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def drop_connections(self) -> None:
        for request in list(self._open):
            try:
                request.shutdown(socket.SHUT_RDWR)
            except OSError:
                self._open.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error; anything else shows its traceback."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    server: Listener

    def log_message(self, *_: Any) -> None:
        pass

    def serve(self) -> None:
        cvat = self.server.cvat
        split = urlsplit(self.path)
        path, method = unquote(split.path), self.command
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        rule = None if path.startswith("/__") else cvat.faults.strike(method, path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        row: dict[str, Any] = {
            "time": cvat.state.now(),
            "method": method,
            "path": path,
            "query": parse_qsl(split.query, keep_blank_values=True),
            "headers": {name: "…" if name in _BLANKED else value for name, value in headers.items()},
            "size": len(body),
            "fault": None if rule is None else rule.kind + ("-after" if rule.after else ""),
            "status": None,
        }
        if not path.startswith("/__"):
            cvat.log.append(row)
        host = f"http://{headers.get('host') or urlsplit(cvat.url).netloc}"
        call = Call(cvat, method, path, row["query"], headers, body, host)
        answer: Answer | None = None
        if rule is None or rule.after or rule.kind in ("latency", "stuck", "expired"):
            if rule is not None:
                _prepare(rule, call)
            call.parts = _parts(headers.get("content-type", ""), body)
            answer = cvat.answer(call)
        if rule is not None:
            answer = _spoiled(rule, answer)
        if rule is not None and rule.kind == "hang":
            cvat.faults.hangs()
            self.connection.recv(1, socket.MSG_PEEK)
        if answer is None:
            self._reset()
            return
        row["status"] = answer.status
        self._send(answer)

    def _send(self, answer: Answer) -> None:
        size = answer.file.stat().st_size if answer.file else len(answer.body)
        self.send_response(answer.status)
        if answer.type is not None:
            self.send_header("Content-Type", answer.type)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("X-Request-Id", str(uuid.uuid4()))
        if answer.status != 204:
            self.send_header("Content-Length", str(size))
        self.end_headers()
        if self.command == "HEAD" or answer.status == 204:
            pass
        elif answer.file:
            with answer.file.open("rb") as file:
                shutil.copyfileobj(file, self.wfile)
        else:
            self.wfile.write(answer.body)
        self.wfile.flush()

    def _reset(self) -> None:
        """Closes the connection so that the other side sees it reset, not ended."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


for _method in ("GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"):
    setattr(Connection, f"do_{_method}", Connection.serve)


def _prepare(rule: Rule, call: Call) -> None:
    if rule.kind == "latency":
        time.sleep(rule.seconds)
    elif rule.kind == "stuck":
        call.stuck = True
    elif rule.kind == "expired":
        # Both places where a result is asked for name the request: in the path, or as a parameter.
        rq_id = call.asked("rq_id") or call.path.removeprefix("/api/requests/")
        work = call.server.workers.all.get(rq_id)
        if work is not None and work.over.is_set():
            call.server.workers.drop(rq_id)


def _spoiled(rule: Rule, answer: Answer | None) -> Answer | None:
    """What the client gets in place of the answer; None is a connection that breaks."""
    if rule.kind in ("reset", "hang"):
        return None
    if rule.kind == "429":
        limited = throttled(rule.seconds)
        assert isinstance(limited, RefusalError)
        return limited.answer
    if rule.kind == "500":
        return server_error().answer
    if rule.kind == "page":
        return Answer(200, GATEWAY.format("Guest network: please log in").encode(), "text/html")
    if rule.kind in _REASONS:
        return Answer(int(rule.kind), GATEWAY.format(_REASONS[rule.kind]).encode(), "text/html")
    return answer


def _parts(kind: str, body: bytes) -> list[Part]:
    """A multipart body taken apart; the bytes of its files are copied once."""
    main, _, rest = kind.partition(";")
    if main.strip() != "multipart/form-data":
        return []
    boundary = b"--" + rest.partition("boundary=")[2].split(";")[0].strip(' "').encode()
    parts = []
    for piece in body.split(boundary)[1:-1]:
        head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = HeaderParser().parsestr(head.decode("utf-8", "replace"))
        options = dict(headers.get_params(failobj=[], header="content-disposition"))
        parts.append(Part(options.get("name", ""), options.get("filename"), content.removesuffix(b"\r\n")))
    return parts
