"""Where an import reads from: a folder, an archive, or a file of labels with its pictures beside it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from data_engine.app.engine import Engine, present
from data_engine.errors import MissingInputError, UsageError
from data_engine.formats.archives import Archive
from data_engine.formats.tar_archives import TarArchive, unpacked
from data_engine.stages.import_source import Folder, Source, WithPictures

_ZIP, _TAR = ".zip", (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")


def name_of(path: Path) -> str:
    """What a dataset goes by that nobody named: its folder's or file's name, without what says how it is packed."""
    name = path.resolve().name
    if not path.is_file():
        return name
    packed = next((suffix for suffix in (*_TAR, _ZIP) if name.lower().endswith(suffix)), "")
    return name[: -len(packed)] if packed else Path(name).stem


@contextlib.contextmanager
def opened(engine: Engine, path: Path, images: Path | None) -> Iterator[tuple[Source, str | None]]:
    """Where the labels are, with the pictures of another folder where one is named, and the SHA-256 of an archive.

    Raises:
        MissingInputError: nothing is there.
    """
    from data_engine.media.images import sha256_of

    for given in (path, images):
        if given is not None and not present(given):
            raise MissingInputError(f"{given} is not there", hint="name a folder, an archive or a file of labels")
    if images is not None and not images.is_dir():
        raise UsageError(f"--images {images} is not a folder", hint="name the folder of the pictures")
    with contextlib.ExitStack() as stack:
        sha256 = None
        labels: Source
        name = path.name.lower()
        if path.is_file() and name.endswith((_ZIP, *_TAR)):
            sha256 = sha256_of(path, name=path.name)
            file = stack.enter_context(path.open("rb"))
            if name.endswith(_ZIP):
                labels = Archive(file, name=path.name)
            else:
                # On the workspace's disk, which has room for the pictures; without a name, gone with this process.
                room = stack.enter_context(tempfile.TemporaryFile(dir=engine.root))
                labels = TarArchive(unpacked(file, cast("BinaryIO", room), name=path.name), name=path.name)
        else:
            labels = _folder(path)
        if path.is_file() and sha256 is None:
            sha256, images = sha256_of(path), images or path.parent
        yield (labels if images is None else WithPictures(labels, _folder(images))), sha256


def _folder(path: Path) -> Folder:
    # A storage of its own: the place is of no use to anybody later, and must not become a record.
    from data_engine.storage.local import LocalStorage

    where, key = (path, ".") if path.is_dir() else (path.parent, path.name)
    storage = LocalStorage(where)
    return Folder(storage, key if key == "." else storage.key_of(path), name=path.name or str(path))
