"""Where labels are imported from, and its pictures, found by what annotation files call them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from data_engine.ports import Storage

_PIECE = 1 << 18


class Source(Protocol):
    """A folder or an archive: :class:`data_engine.formats.archives.Archive` is one."""

    name: str
    """For messages."""

    @property
    def names(self) -> tuple[str, ...]:
        """Its files, relative and ``/``-separated."""
        ...

    def size(self, path: str) -> int:
        """Bytes of a file."""
        ...

    def head(self, path: str, size: int) -> bytes:
        """The first bytes of a file."""
        ...

    def pieces(self, path: str) -> Iterator[bytes]:
        """A file from its first byte to its last."""
        ...


class Folder:
    """A folder of the storage, or the one file that is named.

    Args:
        storage: where it lies.
        key: of the folder or file.
        name: what to call it in a message.
    """

    def __init__(self, storage: Storage, key: str, *, name: str) -> None:
        self.name = name
        self._storage = storage
        if storage.path(key).is_dir():
            self._start = "" if key in ("", ".") else f"{key}/"
            self.names = tuple(path[len(self._start) :] for path in storage.list(key))
        else:
            self._start, _, file = key.rpartition("/")
            self._start += "/" if self._start else ""
            self.names = (file,)

    def key_of(self, path: str) -> str:
        """The storage key of one of its files."""
        return f"{self._start}{path}"

    def size(self, path: str) -> int:
        """Bytes of a file."""
        return self._storage.size(self.key_of(path))

    def head(self, path: str, size: int) -> bytes:
        """The first bytes of a file."""
        with self._storage.open(self.key_of(path)) as file:
            return file.read(size)

    def pieces(self, path: str) -> Iterator[bytes]:
        """A file from its first byte to its last."""
        with self._storage.open(self.key_of(path)) as file:
            while piece := file.read(_PIECE):
                yield piece


class WithPictures:
    """A source of labels, and a folder with its pictures, which stand below ``images/`` here.

    Args:
        labels: the annotation files, perhaps with pictures of their own.
        pictures: where the others are; what is no picture there does not count.
    """

    def __init__(self, labels: Source, pictures: Source) -> None:
        from data_engine.media.picture_names import is_image

        self.name = labels.name
        self._labels, self._pictures = labels, pictures
        own = set(labels.names)
        beside = {f"images/{name}": name for name in pictures.names if is_image(name)}
        self._beside = {path: name for path, name in beside.items() if path not in own}
        self.names = (*labels.names, *self._beside)

    def _of(self, path: str) -> tuple[Source, str]:
        return (self._pictures, self._beside[path]) if path in self._beside else (self._labels, path)

    def size(self, path: str) -> int:
        """Bytes of a file."""
        source, name = self._of(path)
        return source.size(name)

    def head(self, path: str, size: int) -> bytes:
        """The first bytes of a file."""
        source, name = self._of(path)
        return source.head(name, size)

    def pieces(self, path: str) -> Iterator[bytes]:
        """A file from its first byte to its last."""
        source, name = self._of(path)
        return source.pieces(name)


class PictureIndex:
    """Pictures by name and by name without suffix.

    Args:
        names: the files of the source, pictures or not; relative, ``/``-separated.
    """

    def __init__(self, names: Iterable[str]) -> None:
        from data_engine.media.picture_names import is_image

        # What macOS packs beside a.jpg is called ._a.jpg.
        self._paths = sorted(name for name in names if is_image(name) and not PurePosixPath(name).name.startswith("."))
        self._by_name: dict[str, list[str]] = {}
        self._by_stem_name: dict[str, list[str]] = {}
        self._by_stem: dict[str, str] = {}
        stems = Counter(str(PurePosixPath(path).with_suffix("")) for path in self._paths)
        for path in self._paths:
            self._by_name.setdefault(PurePosixPath(path).name, []).append(path)
            self._by_stem_name.setdefault(PurePosixPath(path).stem, []).append(path)
            if stems[stem := str(PurePosixPath(path).with_suffix(""))] == 1:
                self._by_stem[stem.lstrip("/")] = path

    def __len__(self) -> int:
        return len(self._paths)

    def stem(self, path: str) -> str | None:
        """The one picture of that path without its suffix."""
        return self._by_stem.get(path.lstrip("/"))

    def find(self, file_name: str, beside: str) -> str | None:
        """The picture that an annotation file names; None when there is none, or no telling which."""
        ends = [
            path
            for path in self._by_name.get(PurePosixPath(file_name).name, ())
            if f"/{path}".endswith(f"/{file_name}")
        ]
        return self._nearest(ends, beside)

    def alike(self, stem: str, beside: str) -> str | None:
        """The picture of that name, whatever its suffix."""
        return self._nearest(self._by_stem_name.get(stem, []), beside)

    def _nearest(self, paths: list[str], beside: str) -> str | None:
        """Of several the one with the longest way in common; None for two of them."""
        if len(paths) < 2:
            return paths[0] if paths else None
        words = frozenset(_words(beside))
        near = sorted(paths, key=lambda path: -len(words.intersection(_words(path))))
        first, second = (len(words.intersection(_words(path))) for path in near[:2])
        return near[0] if first > second else None


def _words(path: str) -> list[str]:
    """Its folders, and the name of the file for what CVAT's ``instances_<subset>.json`` says in it."""
    pure = PurePosixPath(path)
    return [*pure.parts[:-1], pure.stem.removeprefix("instances_")]
