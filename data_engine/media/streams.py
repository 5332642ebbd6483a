"""Connecting to a live source: its packets as they come, and an account of why they ended.

HTTP is spoken here in Python, and FFmpeg only gets the bytes: so redirects stay on the web, certificates are checked,
and what the server said about the length tells an end from a break.  RTSP is FFmpeg's own, with no protocol allowed to
it but the network's.  In both, a playlist is no video, so nothing leads to other files.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

import av

from data_engine.errors import DamagedInputError, DataEngineError, MissingInputError, ServiceError, UsageError
from data_engine.media.container import video_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from data_engine.media.address import LiveUrl

SILENCE_S = 10.0
"""Seconds that a source may take to answer, or to send the next byte, until it counts as gone."""

# Formats whose packets carry times and that can be read from any point on: no playlists, no pictures, no raw streams.
_CONTAINERS = "asf,avi,flv,matroska,webm,mov,mp4,mpeg,mpegts,mpjpeg,nut,ogg"
# Without the last of the options FFmpeg keeps twenty frames back to guess their rate.
_OVER_HTTP = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "none", "fpsprobesize": "0"}
_OVER_RTSP = {
    "format_whitelist": "rtsp,sdp,mpegts",
    "protocol_whitelist": "rtp,udp,tcp,tls",
    "rtsp_flags": "prefer_tcp",
    "allowed_media_types": "video",
    "fpsprobesize": "0",
}
_NAL_CODECS = ("h264", "hevc")
_MOST_HELD = 1 << 20
_PLAYLISTS = ("mpegurl", "dash+xml", "smil", "x-pn-realaudio", "asx")


class ConnectionLostError(Exception):
    """The connection broke, or could not be made again; its text says why, without the address."""


class LiveStream:
    """An open connection; a context manager.

    Args:
        container: the open ``av`` input container.
        video: its video stream.
        body: where the container's bytes come from, for HTTP.
        silence_s: most seconds without a byte; to the next packet, of which bytes come, it may take twice as long.
    """

    def __init__(self, container: Any, video: Any, body: _Body | None = None, silence_s: float = SILENCE_S) -> None:
        self.video = video
        self._container = container
        self._body = body
        self._silence_s = silence_s

    def __enter__(self) -> LiveStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()
        if self._body is not None:
            self._body.close()

    def packets(self, over: Callable[[], bool] = lambda: False) -> Iterator[Any]:
        """The video's packets as they come; the iteration ends where the server says that the stream does.

        Args:
            over: whether nothing more is wanted; asked while bytes come that make no packet, too.

        Raises:
            ConnectionLostError: it broke off before; what comes after connecting again is the stream as it is then.
            ServiceError: it broke off, and would begin anew: it is a file of a fixed length.
        """
        why = ""
        try:
            yield from _joined(self._timely(over))
        except av.FFmpegError as error:
            why = _why(error)
        if over():
            return
        if self._body is not None:
            why = self._body.failure or why
            if why and self._body.fixed_length is not None:
                got = self._body.fixed_length - self._body.left
                raise ServiceError(f"{why} after {got:,} of {self._body.fixed_length:,} bytes")
        elif not self._container.duration:
            # A recording says how long it is; a camera's stream has no end, so this was none.
            why = why or "it ended"
        if why:
            raise ConnectionLostError(why)

    def _timely(self, over: Callable[[], bool]) -> Iterator[Any]:
        """The packets; the stream is over where the next one takes too long.  Over RTSP that is FFmpeg's to see to."""
        packets = iter(self._container.demux(self.video))
        while True:
            if self._body is not None:
                self._body.until, self._body.over = time.monotonic() + 2 * self._silence_s, over
            packet = next(packets, None)
            if packet is None:
                return
            if packet.size:
                yield packet


def connect(address: LiveUrl, silence_s: float = SILENCE_S) -> LiveStream:
    """Connect and read on until it is known what is sent.

    Args:
        address: the source.
        silence_s: most seconds to an answer, and without a byte afterwards; to know the stream may take twice as long.

    Raises:
        ServiceError: it does not answer.
        UsageError: it wants another user and password.
        MissingInputError: it knows no such stream.
        DamagedInputError: what it sends is no video.
    """
    if address.scheme in ("http", "https"):
        return _connect_http(address, silence_s)
    return _connect_rtsp(address, silence_s)


def _connect_rtsp(address: LiveUrl, silence_s: float) -> LiveStream:
    began_s = time.monotonic()
    try:
        container = av.open(
            f"{address.scheme}:{address.url.partition(':')[2]}",
            format="rtsp",
            options=dict(_OVER_RTSP),
            timeout=silence_s,
            metadata_errors="replace",
        )
    except av.FFmpegError as error:
        # The error's own text holds the address with the password.
        if isinstance(error, (av.error.HTTPClientError, av.error.HTTPServerError)):
            _refused(address, _STATUS.get(type(error), 0))
        # Which error FFmpeg makes of its own patience's end depends on where that was.
        if isinstance(error, av.error.ExitError) or time.monotonic() - began_s >= silence_s:
            raise ServiceError(f"{address} did not answer within {silence_s:g} s") from None
        if isinstance(error, av.InvalidDataError):
            raise DamagedInputError(f"{address} answers, but not with video") from None
        raise ServiceError(f"{address} did not answer: {_why(error)}") from None
    return _opened(address, container, None, silence_s)


def _connect_http(address: LiveUrl, silence_s: float) -> LiveStream:
    until = time.monotonic() + 2 * silence_s
    try:
        answer = _opener(address).open(address.bare, timeout=silence_s)
    except urllib.error.HTTPError as error:
        error.close()
        _refused(address, error.code)
    except (OSError, http.client.HTTPException) as error:
        raise ServiceError(f"{address} did not answer: {_why(error)}") from None
    except ValueError:
        # A way to log in that urllib does not know.
        _refused(address, 401)
    body = _Body(answer, until)
    kind = (answer.headers.get_content_type() or "").lower()
    parts = kind == "multipart/x-mixed-replace"
    try:
        if any(playlist in kind for playlist in _PLAYLISTS):
            raise DamagedInputError(
                f"{address} answers with a playlist, not with video", hint="give the address of the stream itself"
            )
        # Pictures that a camera sends one by one carry no time but that of their arrival.
        options = {**_OVER_HTTP, **({"use_wallclock_as_timestamps": "1"} if parts else {})}
        try:
            container = av.open(body, format="mpjpeg" if parts else None, options=options, metadata_errors="replace")
        except av.FFmpegError:
            # A page without a length, as of a login, looks like a stream that broke off.
            if body.failure and not kind.startswith("text/"):
                raise ServiceError(f"{address} did not send a video: {body.failure}") from None
            raise DamagedInputError(f"{address} answers with {kind or 'something'}, not with video") from None
    except BaseException:
        body.close()
        raise
    body.until = None
    return _opened(address, container, body, silence_s)


def _opened(address: LiveUrl, container: Any, body: _Body | None, silence_s: float) -> LiveStream:
    try:
        return LiveStream(container, video_stream(container, str(address)), body, silence_s)
    except BaseException:
        container.close()
        if body is not None:
            body.close()
        raise


def _joined(packets: Iterable[Any]) -> Iterator[Any]:
    """The packets, with what came without a time of its own at the front of the one that it belongs to.

    Over RTP the parameter sets of a picture may come apart from it; at the very beginning FFmpeg makes them a packet.
    """
    held = b""
    key = False
    for packet in packets:
        nameless = packet.pts is None and packet.dts is None
        if nameless and packet.stream.codec_context.name in _NAL_CODECS and len(held) < _MOST_HELD:
            held += bytes(packet)
            key = key or packet.is_keyframe
            continue
        if held and not nameless:
            whole = av.Packet(held + bytes(packet))
            whole.pts, whole.dts, whole.time_base = packet.pts, packet.dts, packet.time_base
            whole.stream = packet.stream
            whole.is_keyframe = key or packet.is_keyframe
            packet = whole
        held, key = b"", False
        yield packet


class _Body:
    """The body of an HTTP answer, as a file that FFmpeg reads; it never raises: FFmpeg would lose the reason."""

    def __init__(self, answer: Any, until: float | None) -> None:
        self._answer = answer
        self.until = until
        """On the monotonic clock: when bytes must have made a stream, and then the next packet."""
        self.over: Callable[[], bool] = lambda: False
        """Whether nothing more is wanted."""
        self.failure = ""
        """Why it ended; empty while it has not, and where the server ended it."""
        self.fixed_length: int | None = answer.length
        """Bytes, where the server said so at the beginning."""
        self._says_its_end = answer.length is not None or bool(answer.chunked)

    def read(self, size: int) -> bytes:
        if self.failure or self.over():
            return b""
        if self.until is not None and time.monotonic() > self.until:
            self.failure = "it took too long"
            return b""
        try:
            data: bytes = self._answer.read1(size)
        except (OSError, http.client.HTTPException) as error:
            self.failure = _why(error)
            return b""
        if not data and (self.left or not self._says_its_end):
            self.failure = "the connection was closed"
        return data

    @property
    def left(self) -> int:
        """Bytes that are missing of a fixed length."""
        return self._answer.length or 0

    def close(self) -> None:
        self._answer.close()


class _WebOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but to no other protocol."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme.lower() not in ("http", "https"):
            raise urllib.error.HTTPError(newurl, code, msg, headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(address: LiveUrl) -> urllib.request.OpenerDirector:
    """An opener that speaks HTTP and nothing else, whatever a redirect says."""
    opener = urllib.request.OpenerDirector()
    handlers: list[urllib.request.BaseHandler] = [
        # Cameras are on the local network; what the environment says is meant for the way out of it.
        urllib.request.ProxyHandler({}),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        _WebOnly(),
        urllib.request.HTTPErrorProcessor(),
    ]
    if address.credentials is not None:
        known = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        # For this server: one that a redirect leads to does not get them.
        known.add_password(None, address.bare, *address.credentials)
        handlers += [urllib.request.HTTPDigestAuthHandler(known), urllib.request.HTTPBasicAuthHandler(known)]
    for handler in handlers:
        opener.add_handler(handler)
    return opener


_STATUS = {
    av.error.HTTPBadRequestError: 400,
    av.error.HTTPUnauthorizedError: 401,
    av.error.HTTPForbiddenError: 403,
    av.error.HTTPNotFoundError: 404,
}


def _refused(address: LiveUrl, status: int) -> NoReturn:
    """Turn an HTTP or RTSP status into the error that fits."""
    error: DataEngineError
    if status in (401, 403):
        said = "the user name or password is wrong" if address.credentials else "it wants a user name and a password"
        error = UsageError(f"{address} refuses: {said}", hint="write USER:PASSWORD@ in front of the host")
    elif status in (404, 410):
        error = MissingInputError(f"{address} is not there: the server knows no such stream")
    elif 300 <= status < 400:
        error = DamagedInputError(f"{address} leads to an address that is not followed")
    else:
        error = ServiceError(f"{address} refuses" + (f" with status {status}" if status else ""))
    raise error from None


def _why(error: BaseException) -> str:
    """The reason in few words, without the address that many errors hold."""
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, BaseException):
        return _why(error.reason)
    if isinstance(error, (TimeoutError, av.error.ExitError)):
        return "nothing came in time"
    if isinstance(error, http.client.HTTPException):
        return "the connection was closed" if isinstance(error, http.client.IncompleteRead) else "it speaks no HTTP"
    text = getattr(error, "strerror", None) or type(error).__name__
    return str(text).lower()
