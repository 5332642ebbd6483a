"""Where videos lie in files and folders, and what their paths say; nothing is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from data_engine.app.engine import Engine, present
from data_engine.app.footage.cameras import PathPattern, Said, camera_of
from data_engine.app.footage.sidecars import sidecar_keys
from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.lineage import footage
from data_engine.stages.ingest import IngestSettings

_HINT = "put videos there, or name another --input"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a video lies, and what its path says."""

    key: str
    said: Said
    fallback: str
    """The camera where nobody says which."""
    sequence: bool = False
    """Whether it is a folder of numbered pictures."""
    named: bool = False
    """Whether somebody named the file itself."""
    sidecar: str | None = None
    """Key of the file beside it that tells about it."""


@dataclass(slots=True)
class Places:
    """The videos that lie in the given files and folders, not yet looked into."""

    by_key: dict[str, Place] = field(default_factory=dict)
    ignored: set[str] = field(default_factory=set)
    """Keys of the files that are no videos by their name."""
    unmatched: set[str] = field(default_factory=set)
    """Keys of the videos whose path does not fit the pattern."""
    unreadable: set[str] = field(default_factory=set)
    """Keys of the folders that may not be looked into."""


def find_places(engine: Engine, inputs: Sequence[Path], settings: IngestSettings) -> Places:
    """Where videos lie in these files and folders; nothing is opened.

    A folder of numbered pictures with no video directly in it is a video, unless its pictures are on record as frames.

    Raises:
        MissingInputError: a path that is not there, or no video in any.
        DamagedInputError: a given folder may not be looked into, or there is no video but in such a folder.
        UsageError: the pattern is wrong.
    """
    pattern = None if settings.pattern is None else PathPattern(settings.pattern)
    places = Places()
    for path in inputs:
        if not present(path):
            raise MissingInputError(f"{path} is not there", hint=_HINT)
        key = engine.storage.key_of(path)
        if path.is_file():
            beside = next(filter(engine.storage.exists, sidecar_keys(key)), None)
            name = PurePosixPath(key)
            _add(places, Place(key, Said(), name.stem, named=True, sidecar=beside), pattern, name.name)
        else:
            _look_into(engine, key, places, pattern)
    if not places.by_key and places.unreadable:
        raise DamagedInputError(f"folder {min(places.unreadable)} cannot be read: permission denied")
    if not places.by_key:
        shown = ", ".join(str(path) for path in inputs)
        raise MissingInputError(f"there is no video in {shown}", hint=_HINT)
    return places


def _look_into(engine: Engine, folder: str, places: Places, pattern: PathPattern | None) -> None:
    from data_engine.media.picture_names import is_image
    from data_engine.media.probe import is_video

    others = set(engine.storage.list(folder, unreadable=places.unreadable.add))
    pictures: dict[str, list[str]] = {}
    with_videos = set()
    found: list[Place] = []
    for key in sorted(others):
        parent = key.rpartition("/")[0] or "."
        if is_video(key):
            found.append(Place(key, Said(), camera_of(key, folder)))
            with_videos.add(parent)
        elif is_image(key):
            pictures.setdefault(parent, []).append(key)
    for parent, keys in pictures.items():
        if parent not in with_videos and _is_footage(engine, keys):
            found.append(Place(parent, Said(), _camera_of_folder(engine, parent, folder), sequence=True))
            others.difference_update(keys)
    below = "" if folder == "." else f"{folder}/"
    sidecars = set()
    for place in found:
        sidecar = next((key for key in sidecar_keys(place.key, folder=place.sequence) if key in others), None)
        sidecars.add(sidecar)
        path = place.key.removeprefix(below) if place.key != folder else folder_name(engine, folder)
        _add(places, replace(place, sidecar=sidecar), pattern, path)
    places.ignored |= others - {place.key for place in found} - sidecars


def _add(places: Places, place: Place, pattern: PathPattern | None, path: str) -> None:
    said = None if pattern is None else pattern.match(path, folder=place.sequence)
    if pattern is not None and said is None:
        places.unmatched.add(place.key)
    places.by_key[place.key] = replace(place, said=said or Said())


def _is_footage(engine: Engine, pictures: Sequence[str]) -> bool:
    from data_engine.media.sequence import is_sequence

    if not is_sequence(PurePosixPath(key).name for key in pictures):
        return False
    with engine.database.read() as connection:
        # Frames that were sampled, or came as pictures, are no footage, however they are numbered.
        return not any(file.frame_id for file in footage.files_by_key(connection, pictures).values())


def _camera_of_folder(engine: Engine, key: str, folder: str) -> str:
    if folder in (key, PurePosixPath(key).parent.as_posix()):
        return folder_name(engine, key)
    return camera_of(key, folder)


def folder_name(engine: Engine, key: str) -> str:
    """The name of a folder, also of the one that keys are relative to."""
    return PurePosixPath(key).name or engine.root.name
