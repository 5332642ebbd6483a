"""Cameras for tests: real servers on loopback that send a small video over HTTP or RTSP, and fail as cameras do."""

from __future__ import annotations

import base64
import contextlib
import http.server
import io
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import av
import numpy as np

FPS = 10
KEY_EVERY = 5
WIDTH, HEIGHT = 160, 120


def encode(seconds: float, *, first: int = 0) -> Iterator[av.Packet]:
    """H.264 as a camera sends it: no B pictures, the parameter sets before each key frame."""
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    codec.framerate, codec.time_base, codec.gop_size = FPS, av.time_base and 1 / _frac(FPS), KEY_EVERY
    codec.options = {"tune": "zerolatency", "preset": "ultrafast", "x264-params": "repeat-headers=1:sliced-threads=0"}
    for number in range(first, first + round(seconds * FPS)):
        picture = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
        # Something else in each second, so that scenes change.
        picture[:, :, number // FPS % 3] = 40 + 53 * (number // FPS) % 200
        picture[20:60, number * 3 % 120 : number * 3 % 120 + 30] = 250
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = number
        yield from codec.encode(frame)
    yield from codec.encode(None)


def _frac(number: int):
    from fractions import Fraction

    return Fraction(number)


def transport_stream(seconds: float, *, first: int = 0) -> bytes:
    """MPEG-TS, as many cameras send it over HTTP."""
    return _muxed("mpegts", seconds, first)


def mp4(seconds: float) -> bytes:
    """An MP4 with its index at the beginning."""
    return _muxed("mp4", seconds, 0, movflags="frag_keyframe+empty_moov")


def _muxed(form: str, seconds: float, first: int, **options: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=form, options=options) as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for packet in encode(seconds, first=first):
            packet.stream = stream
            container.mux(packet)
    return file.getvalue()


# --- HTTP -------------------------------------------------------------------------------------------------------------


@dataclass
class Answer:
    """What a server does with one request."""

    body: bytes = b""
    paced_s: float = 0.0
    """Seconds over which the body is sent."""
    status: int = 200
    kind: str = "video/mp2t"
    length: int | None = None
    """The Content-Length that is promised; none means that the connection's end is the body's."""
    chunked: bool = False
    then: bytes = b""
    """What follows the body, a byte at a time."""
    then_s: float = 0.0
    """Seconds over which that is sent."""
    hang: bool = False
    """Say nothing more, but stay."""
    headers: dict[str, str] = field(default_factory=dict)


class HttpCamera:
    """Answers the first request with the first answer and so on, the last one again and again."""

    def __init__(self, answers: Sequence[Answer], *, login: tuple[str, str] | None = None) -> None:
        self.requests: list[str] = []
        self._answers = list(answers)
        self._login = login
        self._closing = threading.Event()
        self._server: http.server.ThreadingHTTPServer | None = None
        self.port = 0

    def __enter__(self) -> HttpCamera:
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self.refuse()

    def listen(self) -> None:
        camera = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                camera._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def refuse(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def url(self, path: str = "/video.ts", login: str = "") -> str:
        return f"http://{login}127.0.0.1:{self.port}{path}"

    def _answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        if self._login is not None:
            wanted = "Basic " + base64.b64encode(":".join(self._login).encode()).decode()
            if request.headers.get("Authorization") != wanted:
                request.send_response(401)
                request.send_header("WWW-Authenticate", 'Basic realm="camera"')
                request.send_header("Content-Length", "0")
                request.end_headers()
                return
        self.requests.append(request.path)
        answer = self._answers[min(len(self.requests), len(self._answers)) - 1]
        request.send_response(answer.status)
        request.send_header("Content-Type", answer.kind)
        for name, value in answer.headers.items():
            request.send_header(name, value)
        if answer.length is not None:
            request.send_header("Content-Length", str(answer.length))
        if answer.chunked:
            request.send_header("Transfer-Encoding", "chunked")
        request.send_header("Connection", "close")
        request.end_headers()
        with contextlib.suppress(OSError):
            size = 188 * 4
            pieces = [answer.body[at : at + size] for at in range(0, len(answer.body), size)]
            for piece in pieces:
                request.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if answer.chunked else piece)
                if self._closing.wait(answer.paced_s / len(pieces)):
                    return
            for byte in answer.then:
                request.wfile.write(bytes([byte]))
                if self._closing.wait(answer.then_s / len(answer.then)):
                    return
            if answer.chunked:
                request.wfile.write(b"0\r\n\r\n")
            if answer.hang:
                self._closing.wait(60)


# --- RTSP -------------------------------------------------------------------------------------------------------------

SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\na=control:*\r\n{range}"
    "m={media} 0 RTP/AVP 96\r\na=rtpmap:96 {codec}\r\na=fmtp:96 packetization-mode=1\r\na=control:track1\r\n"
)


class RtspCamera:
    """A small RTSP server: H.264 in RTP, interleaved in the TCP connection, one NAL unit a packet.

    Args:
        sends_s: of each connection in turn, how many seconds it lasts until the camera hangs up; the last one again
            and again.
        login: user and password, asked for by Basic authentication.
        finite: say in the description how long it is, as a recorder's playback does.
    """

    def __init__(
        self,
        sends_s: Sequence[float] = (60.0,),
        *,
        login: tuple[str, str] | None = None,
        finite: bool = False,
        sound: bool = False,
        deaf: bool = False,
    ) -> None:
        self.connections = 0
        self.described = 0
        self._sends_s = list(sends_s)
        self._login = login
        self._finite = finite
        self._sound = sound
        self._deaf = deaf
        self._closing = threading.Event()

    def __enter__(self) -> RtspCamera:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._socket.close()

    def url(self, path: str = "/stream1", login: str = "") -> str:
        return f"rtsp://{login}127.0.0.1:{self.port}{path}"

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines, contextlib.suppress(OSError):
            while not self._closing.is_set():
                request = self._request(lines)
                if request is None or self._deaf:
                    self._closing.wait(60 if self._deaf else 0)
                    return
                method, url, headers = request
                status, more, body = self._respond(method, url, headers)
                head = f"RTSP/1.0 {status}\r\nCSeq: {headers.get('cseq', '0')}\r\n{more}"
                if body:
                    head += f"Content-Length: {len(body)}\r\n"
                connection.sendall(f"{head}\r\n{body}".encode())
                if method == "PLAY" and status.startswith("200"):
                    self.connections += 1
                    self._play(connection, self._sends_s[min(self.connections, len(self._sends_s)) - 1])
                    return

    def _request(self, lines) -> tuple[str, str, dict[str, str]] | None:
        first = lines.readline().decode()
        if not first:
            return None
        headers = {}
        while line := lines.readline().decode().strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        method, url, _ = first.split()
        return method, url, headers

    def _respond(self, method: str, url: str, headers: dict[str, str]) -> tuple[str, str, str]:
        if method == "OPTIONS":
            return "200 OK", "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n", ""
        if self._login is not None:
            wanted = "Basic " + base64.b64encode(":".join(self._login).encode()).decode()
            if headers.get("authorization") != wanted:
                return "401 Unauthorized", 'WWW-Authenticate: Basic realm="camera"\r\n', ""
        if method == "DESCRIBE":
            self.described += 1
            if url.endswith("/nothing"):
                return "404 Not Found", "", ""
            form = {
                "range": f"a=range:npt=0-{self._sends_s[0]}\r\n" if self._finite else "",
                "media": "audio" if self._sound else "video",
                "codec": "L16/8000" if self._sound else "H264/90000",
            }
            return "200 OK", "Content-Type: application/sdp\r\n", SDP.format(**form)
        if method == "SETUP":
            if "TCP" not in headers.get("transport", ""):
                return "461 Unsupported Transport", "", ""
            return "200 OK", "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n", ""
        if method == "PLAY":
            return "200 OK", "Session: 1\r\nRange: npt=0.000-\r\n", ""
        return "200 OK", "Session: 1\r\n", ""

    def _play(self, connection: socket.socket, seconds: float) -> None:
        began, sequence = time.monotonic(), 0
        for number, packet in enumerate(encode(seconds)):
            if self._closing.wait(max(0.0, began + number / FPS - time.monotonic())):
                return
            units = [unit for unit in bytes(packet).replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if unit]
            for unit in units:
                marker = 0x80 if unit is units[-1] else 0
                header = struct.pack(">BBHII", 0x80, marker | 96, sequence & 0xFFFF, number * 90000 // FPS, 0x5EED)
                sequence += 1
                data = header + unit
                connection.sendall(struct.pack(">cBH", b"$", 0, len(data)) + data)


def wait_until(condition: Callable[[], object], limit_s: float = 30) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)
