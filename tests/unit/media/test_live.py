"""Recording live sources: their addresses, and what becomes of streams that break; with no network and no waiting."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from data_engine.errors import DamagedInputError, MissingInputError, ServiceError, UsageError
from data_engine.media.address import LiveUrl, source_of
from data_engine.media.live import Recorder, Recording
from data_engine.media.live_part import mend
from data_engine.media.streams import ConnectionLostError

# --- addresses --------------------------------------------------------------------------------------------------------


def test_what_is_typed_is_a_path_or_an_address():
    assert source_of("videos/a.mp4") == Path("videos/a.mp4")
    assert source_of("odd: //name") == Path("odd: //name")
    for typed in ("rtsp://h/x", "rtsps://h/x", "http://h/x", "HTTPS://h/x"):
        assert isinstance(source_of(typed), LiveUrl)


@pytest.mark.parametrize(
    ("typed", "shown", "camera"),
    [
        ("rtsp://10.0.0.5/stream1", "rtsp://10.0.0.5/stream1", "10.0.0.5_stream1"),
        ("rtsp://10.0.0.5:554/stream1", "rtsp://10.0.0.5/stream1", "10.0.0.5_stream1"),
        ("RTSP://User:pw@CAM.local:8554/a/b/", "rtsp://cam.local:8554/a/b/", "cam.local_8554_a_b"),
        ("http://h/v.ts?user=joe&pwd=geheim&token=t", "http://h/v.ts", "h_v.ts"),
        (
            "rtsp://u:p@h/cam/realmonitor?channel=1&subtype=0&password=x",
            "rtsp://h/cam/realmonitor?channel=1&subtype=0",
            "h_cam_realmonitor_channel-1_subtype-0",
        ),
        ("http://[::1]:8080/x", "http://[::1]:8080/x", "1_8080_x"),
        ("http://h/%D0%B7%D0%B0%D0%BB 1/../x", "http://h/%D0%B7%D0%B0%D0%BB 1/../x", "h_зал_1_.._x"),
        ("https://h", "https://h", "h"),
        ("rtsp://10.0.0.9/user=admin&password=S3cret&channel=1", "rtsp://10.0.0.9/channel=1", "10.0.0.9_channel_1"),
        (
            "rtsp://h/user=admin_password=tl_Jw_channel=2_stream=0.sdp",
            "rtsp://h/channel=2_stream=0.sdp",
            "h_channel_2_stream_0.sdp",
        ),
        ("rtsp://h/ch1;User=admin;PassWord=S3cret", "rtsp://h/ch1", "h_ch1"),
        ("rtsp://h/channel=1&accesstoken=a.b-c/live", "rtsp://h/channel=1/live", "h_channel_1_live"),
        ("rtsp://h/user%3Dadmin%26password%3DS3cret%26channel%3D1", "rtsp://h/channel%3D1", "h_channel_1"),
        (
            "rtsp://h/monkey_1/user_door/passage_2_",
            "rtsp://h/monkey_1/user_door/passage_2_",
            "h_monkey_1_user_door_passage_2",
        ),
    ],
)
def test_an_address_is_shown_and_names_its_camera_without_credentials(typed, shown, camera):
    address = source_of(typed)
    assert str(address) == shown
    assert repr(address) == f"LiveUrl({shown})"
    assert address.camera == camera


def test_credentials_are_decoded_and_the_bare_address_has_none():
    address = LiveUrl("http://ad%40min:p%3Aw%2F@h:81/v ideo?x=%20&y=1#part")
    assert address.credentials == ("ad@min", "p:w/")
    assert address.bare == "http://h:81/v%20ideo?x=%20&y=1"
    assert LiveUrl("http://h/x").credentials is None
    whole = "http://h/user=admin&password=S3cret&channel=1"
    assert (LiveUrl(whole).url, LiveUrl(whole).bare) == (whole, whole)


def test_two_cameras_never_share_a_name_that_was_too_long():
    first, second = (LiveUrl(f"http://h/{'x' * 200}/{number}").camera for number in (1, 2))
    assert first != second
    assert len(first) <= 80


@pytest.mark.parametrize(
    "typed",
    [
        "rtsp://admin:12/secret@10.0.0.5/x",
        "rtsp://admin:sec/ret@10.0.0.5/x",
        "rtsp://admin:sec?ret@10.0.0.5/x",
        "rtsp://admin:sec#ret@10.0.0.5/x",
        "rtsp://admin:secret@10.0.0.5:port/x",
        "rtsp://admin:secret@/x",
        "rtsp://[secret/x",
        "http://",
        "http:///secret@x",
        "ftp://admin:secret@h/x",
        "file:///secret",
    ],
)
def test_an_address_that_cannot_be_read_is_refused_without_being_shown(typed):
    with pytest.raises(UsageError) as caught:
        source_of(typed)
    for word in ("secret", "sec", "ret@", "admin"):
        assert word not in str(caught.value)


# --- recording --------------------------------------------------------------------------------------------------------

FPS = 10
ADDRESS = LiveUrl("rtsp://user:secret@camera/stream1")


def stream_of(frames: int, gop: int = 5) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mpegts") as container:
        stream = container.add_stream("mpeg4", rate=FPS, options={"sc_threshold": "1000000000"})
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 64, 48, "yuv420p", gop
        for number in range(frames):
            picture = np.full((48, 64, 3), number % 256, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return file.getvalue()


class World:
    """A clock that only moves when somebody waits, a camera's connections, and the files that were written."""

    def __init__(self, folder: Path) -> None:
        self.now_s = 1000.0
        self.sleeps: list[float] = []
        self.told: list[str] = []
        self.finished: list[Path] = []
        self.began: list[Path] = []
        self.connected = 0
        self.stop_at_s = float("inf")
        self._folder = folder
        self._script: list[Callable[[], Any]] = []

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now_s += seconds

    def begin(self) -> tuple[Path, datetime]:
        path = self._folder / f"{len(self.began)}.mkv"
        self.began.append(path)
        return path, datetime.fromtimestamp(self.now_s, UTC)

    def finish(self, path: Path) -> None:
        self.finished.append(path)

    def discard(self, path: Path) -> None:
        path.unlink()

    def sends(self, data: bytes, **how: Any) -> World:
        self._script.append(lambda: Sent(self, data, **how))
        return self

    def refuses(self, times: int = 1, error: Exception | None = None) -> World:
        def refuse() -> Any:
            raise error or ServiceError(f"{ADDRESS} did not answer: connection refused")

        self._script += [refuse] * times
        return self

    def connect(self, address: LiveUrl) -> Any:
        assert address is ADDRESS
        self.connected += 1
        return self._script[min(self.connected, len(self._script)) - 1]()

    def record(self, duration_s: float, **options: Any) -> Recording:
        self.recorder = Recorder(
            ADDRESS,
            self,
            clock=lambda: self.now_s,
            sleep=self.sleep,
            stopped=lambda: self.now_s >= self.stop_at_s,
            tell=self.told.append,
            connect=self.connect,
            **options,
        )
        return self.recorder.record(duration_s)


class Sent:
    """A connection over which a stream comes at its own pace and then breaks, ends, or raises."""

    def __init__(
        self,
        world: World,
        data: bytes,
        *,
        ends: bool = False,
        error: Exception | None = None,
        skip: int = 0,
        trickles: bool = False,
        shift: Callable[[int, Any], None] = lambda number, packet: None,
    ) -> None:
        self._world, self._ends, self._error, self._skip, self._shift = world, ends, error, skip, shift
        self._trickles = trickles
        self._container = av.open(io.BytesIO(data))
        self.video = self._container.streams.video[0]

    def __enter__(self) -> Sent:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def packets(self, over: Callable[[], bool]) -> Iterator[Any]:
        for number, packet in enumerate(packet for packet in self._container.demux(self.video) if packet.size):
            if number < self._skip:
                continue
            self._world.now_s += 1 / FPS
            self._shift(number, packet)
            yield packet
        while self._trickles:
            self._world.now_s += 1
            assert self._world.now_s < 10_000
            if over():
                return
        if not self._ends:
            raise self._error or ConnectionLostError("the connection was closed")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def times_of(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]


def test_a_recording_ends_after_its_duration_and_is_a_whole_file(world):
    found = world.sends(stream_of(100)).record(3)
    assert (found.seconds, found.parts, found.drops, found.ended) == (pytest.approx(3), 1, 0, "duration")
    times = times_of(world.finished[0])
    assert len(times) == 30
    assert times == pytest.approx([number / FPS for number in range(30)], abs=0.001)
    with av.open(str(world.finished[0])) as container:
        assert container.metadata["creation_time"] == "1970-01-01T00:16:40.100000Z"
        assert container.duration == pytest.approx(3_000_000, abs=200_000)


def test_a_stream_that_drops_is_connected_again_into_a_new_file(world):
    found = world.sends(stream_of(20)).refuses(2).sends(stream_of(500)).record(10)
    # 2 s came; pauses of 0.5, 1 and 2 s; the rest of the ten seconds.
    assert world.sleeps == [0.5, 1.0, 2.0]
    assert (found.parts, found.drops, found.ended) == (2, 1, "duration")
    assert found.missing_s == pytest.approx(3.5)
    assert found.seconds == pytest.approx(10 - 3.5)
    assert [times_of(path)[0] for path in world.finished] == [0, 0]
    assert world.told == [f"{ADDRESS}: lost after 2 s (the connection was closed); connecting again"]


def test_pauses_grow_to_a_limit_and_begin_again_after_success(world):
    found = world.sends(stream_of(10)).refuses(6).sends(stream_of(10)).refuses(1).sends(stream_of(9000)).record(60)
    assert world.sleeps == [0.5, 1, 2, 4, 8, 8, 8, 0.5, 1]
    assert (found.drops, found.parts) == (2, 3)
    assert found.missing_s == pytest.approx(sum(world.sleeps))


def test_a_stream_that_does_not_come_back_is_lost_at_the_end_of_the_time(world):
    found = world.sends(stream_of(20)).refuses(1).record(10)
    assert (found.ended, found.parts, found.drops) == ("lost", 1, 1)
    assert found.failure == "did not answer: connection refused"
    assert found.seconds == pytest.approx(2)
    assert found.missing_s == pytest.approx(8)
    assert world.now_s == pytest.approx(1010)


def test_what_fails_at_first_contact_is_not_tried_again(world):
    for error in (ServiceError("x"), UsageError("x"), MissingInputError("x")):
        world.connected = 0
        world._script.clear()
        with pytest.raises(type(error)):
            world.refuses(1, error).record(10)
        assert (world.connected, world.sleeps, world.began) == (1, [], [])


def test_a_stream_without_a_picture_is_an_error_and_leaves_no_file(world, tmp_path):
    with pytest.raises(ServiceError, match=r"rtsp://camera/stream1 sent no picture: the connection was closed"):
        world.sends(stream_of(4), skip=4).record(10)
    assert list(tmp_path.iterdir()) == []


def test_a_stream_of_which_nothing_can_be_kept_is_damaged(world, tmp_path):
    def spoil(number: int, packet: Any) -> None:
        packet.pts = packet.dts = None

    with pytest.raises(DamagedInputError, match="rtsp://camera/stream1 sent no picture that could be kept"):
        world.sends(stream_of(20), shift=spoil, ends=True).record(10)
    assert list(tmp_path.iterdir()) == []


def test_a_camera_that_refuses_only_later_is_tried_until_the_end(world):
    """Behind a restarting server a stream may be unknown for a while."""
    found = world.sends(stream_of(10)).refuses(1, MissingInputError(f"{ADDRESS} is not there")).record(5)
    assert (found.ended, found.failure) == ("lost", "is not there")


def test_the_end_that_the_server_tells_is_the_end(world):
    found = world.sends(stream_of(25), ends=True).record(60)
    assert (found.ended, found.parts, world.connected) == ("stream", 1, 1)
    assert found.seconds == pytest.approx(2.5)


def test_a_file_that_breaks_off_is_not_read_from_its_beginning_again(world):
    found = world.sends(stream_of(25), error=ServiceError("closed after 10 of 20 bytes")).record(60)
    assert (found.ended, found.failure, world.connected) == ("lost", "closed after 10 of 20 bytes", 1)
    assert found.seconds == pytest.approx(2.5)


def test_parts_begin_at_key_frames(world):
    found = world.sends(stream_of(100, gop=7)).record(9, part_s=2)
    assert found.parts == 5
    # Key frames come every 0.7 s: the first at 2 s or later is 2.1 s after the last.
    assert [len(times_of(path)) for path in world.finished] == [21, 21, 21, 21, 6]
    assert sum(len(times_of(path)) for path in world.finished) == 90


def test_a_part_waits_for_a_key_frame_and_counts_what_it_left_out(world):
    found = world.sends(stream_of(60), skip=2).record(3)
    assert found.lost_packets == 3
    assert times_of(world.finished[0])[0] == 0
    assert len(times_of(world.finished[0])) == 30


def test_a_camera_that_never_sends_a_key_frame_is_recorded_after_a_while(world):
    def no_key(number: int, packet: Any) -> None:
        packet.is_keyframe = False

    found = world.sends(stream_of(300), shift=no_key).record(5)
    assert found.lost_packets == 100
    assert found.seconds == pytest.approx(5)


@pytest.mark.parametrize("jump_s", [-1.5, 3600])
def test_a_clock_that_starts_again_begins_a_new_file(world, jump_s):
    def jump(number: int, packet: Any) -> None:
        if number >= 20:
            shift = int(jump_s / packet.time_base)
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift

    found = world.sends(stream_of(100), shift=jump).record(5)
    assert (found.parts, found.restarts, found.drops) == (2, 1, 0)
    assert [len(times_of(path)) for path in world.finished] == [20, 30]
    assert times_of(world.finished[1])[-1] == pytest.approx(2.9, abs=0.001)


def test_a_silence_that_the_stream_s_clock_knows_of_is_none_of_its_restarts(world):
    def silence(number: int, packet: Any) -> None:
        if number == 20:
            world.now_s += 30
        if number >= 20:
            packet.pts, packet.dts = (stamp + int(30 / packet.time_base) for stamp in (packet.pts, packet.dts))

    found = world.sends(stream_of(100), shift=silence).record(34)
    assert (found.parts, found.restarts) == (1, 0)
    assert found.seconds == pytest.approx(34)


def test_packets_without_a_time_or_out_of_order_are_counted(world):
    def spoil(number: int, packet: Any) -> None:
        if number == 7:
            packet.pts = packet.dts = None
        if number == 9:
            packet.dts -= int(Fraction(1, 2) / packet.time_base)

    found = world.sends(stream_of(100), shift=spoil).record(3)
    assert found.lost_packets == 2
    assert found.parts == 1


def test_stopping_keeps_what_came(world):
    world.stop_at_s = 1002
    found = world.sends(stream_of(100)).record(60)
    assert (found.ended, found.parts) == ("stopped", 1)
    assert found.seconds == pytest.approx(2, abs=0.11)
    world.stop_at_s = 1010
    found = world.sends(stream_of(10)).refuses(20).record(60)
    assert found.ended == "stopped"


def test_bytes_that_make_no_packet_keep_nobody_from_the_end(world):
    found = world.sends(stream_of(20), trickles=True).record(10)
    assert (found.ended, found.parts, found.seconds) == ("duration", 1, pytest.approx(2))
    assert world.now_s == pytest.approx(1000 + 10 + 5, abs=2)
    world.connected, world.stop_at_s = 0, world.now_s + 4
    found = world.record(60)
    assert (found.ended, found.parts) == ("stopped", 1)
    assert world.now_s == pytest.approx(world.stop_at_s, abs=1)


def test_packets_of_which_none_can_be_kept_end_too(world):
    def spoil(number: int, packet: Any) -> None:
        packet.pts = packet.dts = None

    with pytest.raises(DamagedInputError, match="sent no picture that could be kept"):
        world.sends(stream_of(900), shift=spoil).record(3)
    assert world.now_s == pytest.approx(1000 + 3 + 15, abs=1)


def test_a_full_disk_is_told(world, tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    world.begin = lambda: (Path("/dev/full"), datetime.now(UTC))  # type: ignore[method-assign]
    with pytest.raises(OSError) as caught:
        world.sends(stream_of(100)).record(5)
    assert caught.value.errno == 28


# --- what a kill leaves -----------------------------------------------------------------------------------------------


def test_a_file_that_was_cut_off_anywhere_is_completed(world, tmp_path):
    world.sends(stream_of(100)).record(6)
    whole = world.finished[0].read_bytes()
    cut, target = tmp_path / "cut", tmp_path / "mended.mkv"
    before = -1.0
    for size in [*range(0, len(whole), len(whole) // 40), len(whole)]:
        cut.write_bytes(whole[:size])
        target.unlink(missing_ok=True)
        seconds = mend(cut, target)
        assert target.exists() == (seconds is not None)
        if seconds is not None:
            assert seconds >= before, "more bytes never give less"
            before = seconds
            times = times_of(target)
            assert times == pytest.approx([number / FPS for number in range(len(times))], abs=0.001)
            assert seconds == pytest.approx(len(times) / FPS if len(times) > 1 else 0, abs=0.002)
            with av.open(str(target)) as container:
                assert container.metadata["creation_time"] == "1970-01-01T00:16:40.100000Z"
    assert before == pytest.approx(6)


def test_what_is_no_recording_is_not_completed(tmp_path):
    for content in (b"", b"not a video" * 100):
        (tmp_path / "x").write_bytes(content)
        assert mend(tmp_path / "x", tmp_path / "y") is None
        assert not (tmp_path / "y").exists()
