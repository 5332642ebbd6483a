"""Connecting to live sources: what servers on loopback say, and what is made of it."""

from __future__ import annotations

import itertools

import pytest
from live_servers import FPS, Answer, HttpCamera, RtspCamera, mp4, transport_stream

from data_engine.errors import DamagedInputError, MissingInputError, ServiceError, UsageError
from data_engine.media import streams
from data_engine.media.address import LiveUrl

pytestmark = pytest.mark.timeout(120)

USER, PASSWORD = "wachmann", "g3heim/@:x"
LOGIN = "wachmann:g3heim%2F%40%3Ax@"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


def kept(stream: streams.LiveStream) -> int:
    with stream:
        return sum(1 for _ in stream.packets())


@pytest.mark.parametrize("form", ["length", "chunked"])
def test_a_file_over_http_ends_where_the_server_says(form):
    data = mp4(2)
    answer = Answer(data, length=len(data)) if form == "length" else Answer(data, chunked=True)
    with HttpCamera([answer]) as camera:
        assert kept(streams.connect(LiveUrl(camera.url("/a.mp4")))) == 2 * FPS


def test_a_file_that_breaks_off_is_not_taken_for_its_end():
    data = transport_stream(2)
    with HttpCamera([Answer(data[: len(data) // 2], length=len(data))]) as camera:
        stream = streams.connect(LiveUrl(camera.url()))
        with stream, pytest.raises(ServiceError, match=rf"after [\d,]+ of {len(data):,} bytes"):
            list(stream.packets())


def test_playback_over_rtsp_ends_and_a_camera_does_not():
    with RtspCamera([1], finite=True) as camera:
        assert kept(streams.connect(LiveUrl(camera.url()))) >= FPS - 1
    with RtspCamera([1]) as camera:
        stream = streams.connect(LiveUrl(camera.url()))
        with stream, pytest.raises(streams.ConnectionLostError):
            list(stream.packets())


HLS = b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://%s\n#EXT-X-ENDLIST\n"
NO_VIDEOS = {
    "hls": (HLS, "application/vnd.apple.mpegurl"),
    "hls in disguise": (HLS, "video/mp2t"),
    "concat": (b"ffconcat version 1.0\nfile '%s'\n", "video/mp2t"),
    "sdp": (b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=%s\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5000 RTP/AVP 96\n", "video/mp2t"),
    "page": (b"<html><body>%s login</body></html>", "text/html"),
    "nothing": (b"", "video/mp2t"),
}


@pytest.mark.required
@pytest.mark.parametrize("kind", NO_VIDEOS)
def test_what_is_no_video_is_refused_and_leads_nowhere(kind, tmp_path):
    local = tmp_path / "local.ts"
    local.write_bytes(transport_stream(1))
    text, mime = NO_VIDEOS[kind]
    body = text.replace(b"%s", str(local).encode())
    with HttpCamera([Answer(body, kind=mime, length=len(body))]) as camera:
        with pytest.raises(DamagedInputError, match="not with video"):
            streams.connect(LiveUrl(camera.url()))
        assert len(camera.requests) == 1


def test_a_scheme_may_be_written_in_capitals():
    with RtspCamera([1], finite=True) as camera:
        assert kept(streams.connect(LiveUrl(camera.url().replace("rtsp:", "RTSP:")))) >= FPS - 1


def test_a_page_that_tells_no_length_is_no_stream_that_broke_off():
    page = Answer(b"<html><body>login</body></html>", kind="text/html")
    with HttpCamera([page]) as camera, pytest.raises(DamagedInputError, match="answers with text/html, not with video"):
        streams.connect(LiveUrl(camera.url()))


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/x", "rtsp://127.0.0.1/x"])
def test_redirects_stay_on_the_web(target):
    away = Answer(status=302, length=0, headers={"Location": target})
    with HttpCamera([away]) as camera, pytest.raises(DamagedInputError, match="leads to an address") as caught:
        streams.connect(LiveUrl(camera.url()))
    assert target not in str(caught.value)


def test_a_redirect_is_followed_but_takes_no_login_along():
    data = transport_stream(1)
    with HttpCamera([Answer(data, length=len(data))]) as second:
        away = Answer(status=302, length=0, headers={"Location": second.url("/there.ts")})
        with HttpCamera([away], login=(USER, PASSWORD)) as first:
            assert kept(streams.connect(LiveUrl(first.url(login=LOGIN)))) == FPS
    with HttpCamera([Answer(data)], login=(USER, PASSWORD)) as second:
        away = Answer(status=302, length=0, headers={"Location": second.url("/there.ts")})
        with (
            HttpCamera([away], login=(USER, PASSWORD)) as first,
            pytest.raises(UsageError, match="refuses"),
        ):
            streams.connect(LiveUrl(first.url(login=LOGIN)))


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_errors_of_the_server_have_their_class(scheme):
    camera = (
        RtspCamera(login=(USER, PASSWORD))
        if scheme == "rtsp"
        else HttpCamera([Answer(status=404)], login=(USER, PASSWORD))
    )
    with camera:
        with pytest.raises(UsageError, match="it wants a user name and a password"):
            streams.connect(LiveUrl(camera.url("/nothing")))
        with pytest.raises(UsageError, match="the user name or password is wrong"):
            streams.connect(LiveUrl(camera.url("/nothing", login="joe:wrong@")))
        with pytest.raises(MissingInputError, match="is not there"):
            streams.connect(LiveUrl(camera.url("/nothing", login=LOGIN)))


@pytest.mark.parametrize("kind", ["rtsp", "http", "http headers only"])
def test_a_server_that_says_nothing_is_given_up(kind):
    if kind == "rtsp":
        camera = RtspCamera(deaf=True)
    else:
        camera = HttpCamera([Answer(hang=True)]) if kind == "http headers only" else Silent()
    with camera, pytest.raises(ServiceError, match=r"did not|nothing came in time"):
        streams.connect(LiveUrl(camera.url()), silence_s=0.5)


def test_a_stream_that_falls_silent_is_lost():
    with HttpCamera([Answer(transport_stream(3), hang=True)]) as camera:
        stream = streams.connect(LiveUrl(camera.url()), silence_s=0.5)
        with stream, pytest.raises(streams.ConnectionLostError, match="nothing came in time"):
            list(stream.packets())


def test_a_stream_that_trickles_without_a_packet_is_lost():
    body = transport_stream(2)
    with HttpCamera([Answer(body, then=b"\xff" * 400, then_s=20.0)]) as camera:
        stream = streams.connect(LiveUrl(camera.url()), silence_s=1)
        with stream, pytest.raises(streams.ConnectionLostError, match="it took too long"):
            list(stream.packets())


def test_who_wants_no_more_does_not_wait_for_a_packet():
    body = transport_stream(2)
    asked = itertools.count()
    with HttpCamera([Answer(body, then=b"\xff" * 400, then_s=20.0)]) as camera:
        stream = streams.connect(LiveUrl(camera.url()))
        with stream:
            assert len(list(stream.packets(lambda: next(asked) > 60))) > FPS


def test_no_proxy_stands_between_a_camera_and_here(monkeypatch):
    monkeypatch.delenv("no_proxy")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with HttpCamera([Answer(mp4(1), length=len(mp4(1)))]) as camera:
        assert kept(streams.connect(LiveUrl(camera.url("/a.mp4")))) == FPS


def test_pictures_sent_one_by_one_have_the_time_of_their_arrival():
    import cv2
    import numpy as np

    ok, jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), 99, np.uint8))
    assert ok
    part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(jpeg), jpeg.tobytes())
    with HttpCamera([Answer(part * 30, 1.5, kind="multipart/x-mixed-replace; boundary=frame")]) as camera:
        stream = streams.connect(LiveUrl(camera.url("/video.mjpg")))
        with stream:
            packets = stream.packets()
            times = [packet.pts * packet.time_base for packet in itertools.islice(packets, 30)]
            with pytest.raises(streams.ConnectionLostError):
                next(packets)
    assert len(times) == 30
    assert times[-1] - times[0] > 0.5


def test_sound_alone_is_no_video():
    with RtspCamera(sound=True) as camera, pytest.raises(DamagedInputError, match="holds no video"):
        streams.connect(LiveUrl(camera.url()))


class Silent(HttpCamera):
    """Accepts connections and never says a word."""

    def __init__(self) -> None:
        super().__init__([Answer()])

    def _answer(self, request) -> None:
        self._closing.wait(60)
