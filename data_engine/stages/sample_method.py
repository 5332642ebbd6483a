"""What reads a video, and what picks its frames, as the settings of ``sample`` say."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data_engine.media.decode import VideoReader
    from data_engine.media.picking import Picker
    from data_engine.media.position import Position
    from data_engine.media.sequence import SequenceReader
    from data_engine.ports import Storage
    from data_engine.stages.sample_settings import SampleSettings
    from data_engine.types import Video


def make_picker(settings: SampleSettings) -> Picker:
    """The picker that the settings name, at the beginning of a video."""
    from data_engine.media.max_gap import MaxGap

    picker = _method(settings)
    return picker if settings.max_gap is None else MaxGap(picker, settings.max_gap, settings.min_gap)


def _method(settings: SampleSettings) -> Picker:
    from data_engine.media import picking

    if settings.method == "interval":
        return picking.IntervalPicker(settings.interval, settings.min_gap)
    if settings.method == "keyframes":
        return picking.KeyframePicker(settings.min_gap)
    if settings.method == "content":
        from data_engine.media.content import ContentPicker

        return ContentPicker(settings.content_threshold, settings.content_min_change, settings.min_gap)
    if settings.method == "tiles":
        from data_engine.media.tiles import TilesPicker

        return TilesPicker(
            settings.tiles_contrast,
            settings.tiles_area / 100,
            settings.tiles_again,
            settings.min_gap,
            look_gap_s=settings.look_gap,
            ignore=settings.ignore,
        )
    return picking.SceneChangePicker(
        settings.threshold, settings.min_gap, look_gap_s=settings.look_gap, ignore=settings.ignore
    )


def open_reader(
    video: Video, settings: SampleSettings, storage: Storage, resume: Position | None = None
) -> VideoReader | SequenceReader:
    """The reader of a video file, or of a folder of numbered pictures.

    Args:
        video: what to read.
        settings: whether borders are cut off, and whether keyframes are enough.
        storage: where the video is.
        resume: where an earlier reader of the same video stood.

    Raises:
        MissingInputError: the video is not there.
        DamagedInputError: it is not a video.
    """
    from data_engine.media.decode import VideoReader

    path = storage.path(video.key)
    crop = video.crop if settings.crop else None
    if video.codec == "image sequence":
        from data_engine.media.sequence import SequenceReader

        rate = video.frame_rate or Fraction(25)
        return SequenceReader(path, key=video.key, rate=rate, crop=crop, resume=resume)
    # One decoding thread: with more, what FFmpeg makes of a damaged video depends on which thread was first.
    return VideoReader(
        path,
        key=video.key,
        threads=1,
        crop=crop,
        keyframes_only=settings.method == "keyframes",
        resume=resume,
    )
