"""Before sampling: files -> videos that are known, with what has to be known of them.

A video is probed, hashed, searched for black borders, and given a signature that tells whether another one looks like
it.  Nothing is ever deleted, moved or changed: what is found out is recorded.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.stages.base import StageSettings
from data_engine.types import Failed, Video, content_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from data_engine.media.signatures import Moments, Signature
    from data_engine.ports import Embedder, Executor, Progress, Storage
    from data_engine.selection.duplicates import Duplicate

VERSION = 1
"""Raised whenever the same file would be described differently."""


class IngestSettings(StageSettings):
    """Settings of ``ingest``; ``sample`` reads new videos by them, too."""

    pattern: str | None = Field(
        None,
        min_length=1,
        description="What the path below the given folder says, as in '{venue}/{event}/{camera}/{name}': the fields "
        "venue, event, camera, date and time are taken over, a field of any other name may hold anything.",
    )
    dedup_method: Literal["phash", "embedding", "none"] = Field(
        "phash",
        description="How videos that look alike are found: by perceptual hashes of frames, by the embedder's vectors "
        "of frames, or not at all. They are reported, never deleted.",
    )
    phash_size: int = Field(8, ge=2, le=32, description="phash: side of a hash; it has as many bits as its square.")
    phash_threshold: float = Field(
        5.0, ge=0, description="phash: mean number of bits, over the frames, in which look-alikes may differ."
    )
    embedding_threshold: float = Field(
        0.95, ge=-1, le=1, description="embedding: mean cosine, over the frames, from which on videos look alike."
    )
    num_frames_dedup: int = Field(5, ge=2, le=64, description="Frames of each video that are compared.")
    crop: bool = Field(True, description="Look for black borders; frames are sampled from the picture inside them.")
    sequence_rate: float = Field(
        25.0, gt=0, description="Pictures a second of a folder of numbered pictures, which counts as one video."
    )
    workers: int = Field(0, ge=0, description="Videos read at the same time; 0 for as many as there are cores.")

    def fingerprint(self) -> str:
        """A content id of the values that can change the result: not of the workers."""
        values = self.model_dump(mode="json", exclude={"workers"})
        return content_id("settings", type(self).__name__, *(f"{name}={values[name]!r}" for name in sorted(values)))

    @property
    def rate(self) -> Fraction:
        """``sequence_rate`` as the number that was typed, not as the nearest binary one."""
        return Fraction(str(self.sequence_rate))

    def signature_method(self, embedder: str) -> str | None:
        """What signatures made with these settings are kept under; None where videos are not compared.

        Args:
            embedder: name of the embedder.
        """
        if self.dedup_method == "none":
            return None
        from data_engine.media.signatures import embedding_method, phash_method

        if self.dedup_method == "phash":
            return phash_method(self.phash_size, self.num_frames_dedup)
        return embedding_method(embedder, self.num_frames_dedup)


@dataclass(frozen=True, slots=True)
class Source:
    """A file, or a folder of numbered pictures, of which something has to be found out."""

    key: str
    stamp: str
    """What :func:`stamp_of` said when it was met."""
    camera: str
    sequence: bool = False
    """Whether it is a folder of pictures."""
    known: Video | None = None
    """What was found out before, which is not found out again."""
    searched: bool = False
    """Whether ``known`` was searched for borders."""
    signed: bool = False
    """Whether ``known`` has its signature."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What was found out about one source."""

    source: Source
    video: Video
    signature: bytes | None = None
    """Anew, or None where it has one or none is wanted; empty where no frame to compare could be decoded."""


def ingest(
    sources: Sequence[Source],
    settings: IngestSettings,
    *,
    storage: Storage,
    executor: Executor,
    progress: Progress,
    embedder: Embedder | None = None,
) -> Generator[Ingested | Failed, None, None]:
    """Find out about videos; one outcome a source, in the order of the sources.

    A source that cannot be read is one Failed outcome, by its key.  Files are read in the executor's workers; the
    embedder, which may be a large model, works in this process alone.

    Args:
        sources: what to read.
        settings: what is wanted.
        storage: where it lies.
        executor: where the work is done.
        progress: told of each video done.
        embedder: makes the vectors; needed with the method ``embedding``.
    """
    progress.start("reading videos", len(sources), "videos")
    try:
        outcomes = executor.map(_outcome, (_Work(source, settings, storage) for source in sources))
        with ExitStack() as stack:
            # Whatever happens to the one who listens, no worker outlives this.
            if isinstance(outcomes, Generator):
                stack.callback(outcomes.close)
            for outcome in outcomes:
                progress.advance()
                yield outcome if isinstance(outcome, Failed) else _finished(outcome, embedder)
    finally:
        progress.finish()


def ingest_one(
    source: Source, settings: IngestSettings, storage: Storage, *, embedder: Embedder | None = None
) -> Ingested:
    """Find out about one source; arguments as of :func:`ingest`.

    Raises:
        MissingInputError: it is not there.
        DamagedInputError: it is not a video, not one of its frames can be decoded, or it changed while it was read.
    """
    return _finished(_read(_Work(source, settings, storage)), embedder)


def stamp_of(storage: Storage, key: str, *, sequence: bool) -> str:
    """What changes whenever the file may have, or a picture of the folder.

    Raises:
        MissingInputError: it is not there.
    """
    if not sequence:
        return storage.stamp(key)
    from data_engine.media.picture_names import is_image

    below = "" if key == "." else f"{key}/"
    pictures = [inside for inside in storage.list(key) if is_image(inside) and "/" not in inside[len(below) :]]
    return content_id("pictures", *(part for inside in pictures for part in (inside, storage.stamp(inside))))


def near_duplicates(
    videos: Sequence[Video], signatures: Mapping[str, bytes], settings: IngestSettings
) -> list[Duplicate]:
    """Which videos look like another one, sorted by id; the same for any order of the videos.

    Args:
        videos: all that may be compared; one without a signature is left out.
        signatures: by video id, all made by the same method.
        settings: the method and its threshold.
    """
    from data_engine.media.signatures import Signature
    from data_engine.selection.duplicates import Candidate, by_hash, by_vector

    candidates = []
    for video in videos:
        signature = signatures.get(video.id)
        if signature:
            width, height = (video.width, video.height) if video.crop is None else video.crop[2:]
            candidates.append(
                Candidate(
                    video.id, Signature.from_bytes(signature), width * height, video.size_bytes, video.captured_at
                )
            )
    if settings.dedup_method == "phash":
        return by_hash(candidates, settings.phash_threshold)
    return by_vector(candidates, settings.embedding_threshold)


@dataclass(frozen=True, slots=True)
class _Work:
    """What a worker needs for one source."""

    source: Source
    settings: IngestSettings
    storage: Storage


@dataclass(frozen=True, slots=True)
class _Read:
    """What a worker found out; the pictures of ``moments`` are still to be embedded."""

    source: Source
    video: Video
    signature: bytes | None = None
    moments: Moments | None = None


def _outcome(work: _Work) -> _Read | Failed:
    try:
        return _read(work)
    except (DamagedInputError, MissingInputError) as error:
        return Failed(work.source.key, error.message)


def _read(work: _Work) -> _Read:
    source, settings, storage = work.source, work.settings, work.storage
    path = storage.path(source.key)
    video, searched = source.known, source.searched
    if video is None:
        video, searched = _probed(path, source, settings), False
    if not settings.crop:
        video = replace(video, crop=None)
    elif not searched:
        from data_engine.media.borders import find_borders

        video = replace(video, crop=find_borders(path, key=source.key, seed=video.id))
    read = _Read(source, video)
    # A signature is made of the picture inside the borders: with other borders it is another one.
    same = source.known is not None and source.known.crop == video.crop
    if settings.dedup_method != "none" and not (source.signed and same):
        read = _signed(read, path, settings)
    if stamp_of(storage, source.key, sequence=source.sequence) != source.stamp:
        raise DamagedInputError(f"{source.key} changed while it was read", hint="run again when it has been written")
    return read


def _probed(path: Path, source: Source, settings: IngestSettings) -> Video:
    if source.sequence:
        return _probed_pictures(path, source, settings.rate)
    from data_engine.media.probe import probe

    return probe(path, key=source.key, camera=source.camera)


def _probed_pictures(folder: Path, source: Source, rate: Fraction) -> Video:
    from data_engine.media.images import sha256_of
    from data_engine.media.probe import time_in_name
    from data_engine.media.sequence import CODEC, SequenceReader, numbered, sequence_id

    paths = {path.name: path for path in folder.iterdir() if path.is_file()}
    pictures = [(number, paths[name]) for number, name in numbered(paths)]
    with SequenceReader(folder, key=source.key, rate=rate) as reader:
        width, height = next(iter(reader)).size_wh
        duration_s = reader.duration_s
    name = PurePosixPath(source.key).name or folder.name
    return Video(
        id=sequence_id([(number, sha256_of(path)) for number, path in pictures], rate),
        key=source.key,
        name=name,
        camera=source.camera,
        size_bytes=sum(path.stat().st_size for _number, path in pictures),
        width=width,
        height=height,
        codec=CODEC,
        frame_rate=rate,
        duration_s=None if duration_s is None else float(duration_s),
        # As pictures are decoded, whatever their files hold.
        pixel_format="rgb24",
        variable_rate=False,
        audio=False,
        captured_at=time_in_name(name),
    )


def _signed(read: _Read, path: Path, settings: IngestSettings) -> _Read:
    from data_engine.media.signatures import Moments, moments_of, phash_signature

    key, count, crop = read.source.key, settings.num_frames_dedup, read.video.crop
    found: Moments | Signature
    try:
        if settings.dedup_method == "embedding":
            found = moments_of(path, key=key, count=count, crop=crop)
        else:
            found = phash_signature(path, key=key, size=settings.phash_size, count=count, crop=crop)
    except DamagedInputError:
        # Its first frame is sound, so it is a video, though one that can't be compared.
        return replace(read, signature=b"")
    if read.source.sequence and read.video.duration_s is not None:
        # Pictures alone do not say how fast they follow each other.
        found = replace(found, duration_s=read.video.duration_s)
    return replace(read, moments=found) if isinstance(found, Moments) else replace(read, signature=found.to_bytes())


def _finished(read: _Read, embedder: Embedder | None) -> Ingested:
    signature = read.signature
    if read.moments is not None:
        if embedder is None:
            raise ValueError("the method embedding needs an embedder")
        pictures = read.moments.pictures
        signature = read.moments.with_vectors(embedder.embed(pictures)).to_bytes() if pictures else b""
    return Ingested(read.source, read.video, signature)
