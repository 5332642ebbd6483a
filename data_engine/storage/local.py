"""Files on this machine's disks, below a workspace root.

A file outside the root is known by a *mount*: a short name for its folder that is kept in
``.dataengine/mounts.json`` on this machine only, so that records never hold an absolute path.

Keys are text that every database takes; names of files need not be.  A byte that is no UTF-8 stands in the key as one
of the private characters U+EF80 to U+EFFF, and where a name itself holds such a character, each of its bytes does so:
every name has a key of its own.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from data_engine.errors import DamagedInputError, MissingInputError, StorageFullError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

TEMPORARY_PREFIX = ".dataengine-tmp-"
MOUNTS_FILE = ".dataengine/mounts.json"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.EROFS,
}


class LocalStorage:
    """Storage below ``root``; see :class:`data_engine.ports.Storage` for the contract.

    Picklable: worker processes get the root and the mounts.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root).resolve()
        self._mounts: dict[str, str] = {}
        self._swept: set[Path] = set()
        self._mounts = self._read_mounts()

    # --- keys and paths -------------------------------------------------------------------------------------------

    def path(self, key: str) -> Path:
        """The local path of a key.

        Raises:
            DamagedInputError: the key is absolute or climbs out of its folder.
            MissingInputError: it lies on a mount that this machine does not know.
        """
        key = _name_of(key)
        pure = PurePosixPath(key)
        if not key or "\0" in key or pure.is_absolute() or ".." in pure.parts:
            raise DamagedInputError(f"{key!r} climbs out of its folder")
        if key.startswith("@"):
            mount = _key_of(pure.parts[0][1:])
            if mount not in self._mounts:
                # Another process may have added it since.
                self._mounts = {**self._read_mounts(), **self._mounts}
            if mount in self._mounts:
                return Path(self._mounts[mount], *pure.parts[1:])
            # A file below the root may itself begin with the sign.
            if not (self.root / pure.parts[0]).exists():
                raise MissingInputError(
                    f"{key!r} lies in a folder that this machine does not know", hint=f"add {mount!r} to {MOUNTS_FILE}"
                )
        return self.root / pure

    def key_of(self, path: Path) -> str:
        """The key of a local path; a folder outside the root becomes a mount on first use."""
        absolute = Path(os.path.abspath(path))
        for candidate in (absolute, absolute.resolve()):
            if candidate == self.root:
                return "."
            if candidate.is_relative_to(self.root):
                return _key_of(candidate.relative_to(self.root).as_posix())
        for mount, at in sorted(self._mounts.items(), key=lambda item: -len(item[1])):
            if absolute.is_relative_to(at):
                return _key_of("/".join((f"@{_name_of(mount)}", *absolute.relative_to(at).parts)))
        folder = absolute if absolute.is_dir() else absolute.parent
        name = self._mount(folder)
        return _key_of("/".join((f"@{_name_of(name)}", *absolute.relative_to(folder).parts)))

    def _mount(self, folder: Path) -> str:
        digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]
        name = _key_of(f"{folder.name or 'root'}-{digest}")
        self._mounts[name] = str(folder)
        # Another command may add a mount at the same moment: join with what is on disk, one at a time.
        (self.root / MOUNTS_FILE).parent.mkdir(parents=True, exist_ok=True)
        with (self.root / f"{MOUNTS_FILE}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._mounts = {**self._read_mounts(), **self._mounts}
            self.write_bytes(MOUNTS_FILE, json.dumps(self._mounts, indent=1, sort_keys=True).encode())
        return name

    def _read_mounts(self) -> dict[str, str]:
        try:
            mounts = json.loads((self.root / MOUNTS_FILE).read_text("utf-8"))
            return {str(name): str(folder) for name, folder in mounts.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError):
            raise DamagedInputError(
                f"{MOUNTS_FILE} is damaged: it should hold a JSON object of names and folders"
            ) from None

    # --- reading --------------------------------------------------------------------------------------------------

    def open(self, key: str) -> BinaryIO:
        try:
            return self.path(key).open("rb")
        except (FileNotFoundError, NotADirectoryError):
            raise MissingInputError(f"{key} is not there") from None
        except OSError as error:
            if error.errno in _REFUSED:
                raise DamagedInputError(f"{key} cannot be read: {_reason(error)}") from None
            raise

    def read_bytes(self, key: str) -> bytes:
        with self.open(key) as file:
            return file.read()

    def exists(self, key: str) -> bool:
        try:
            return stat.S_ISREG(self._stat(key).st_mode)
        except MissingInputError:
            return False

    def size(self, key: str) -> int:
        return self._stat(key).st_size

    def _stat(self, key: str) -> os.stat_result:
        try:
            return self.path(key).stat()
        except (FileNotFoundError, NotADirectoryError):
            raise MissingInputError(f"{key} is not there") from None
        except OSError as error:
            if error.errno in _REFUSED:
                raise DamagedInputError(f"{key} cannot be read: {_reason(error)}") from None
            raise

    def stamp(self, key: str) -> str:
        found = self._stat(key)
        return f"{found.st_size}-{found.st_mtime_ns}"

    def list(self, prefix: str, *, unreadable: Callable[[str], None] | None = None) -> Iterator[str]:
        start = self.path(prefix)
        if not start.is_dir():
            return
        yield from self._walk(start, "" if prefix == "." else _name_of(prefix).rstrip("/") + "/", unreadable)

    def _walk(
        self, folder: Path, prefix: str, unreadable: Callable[[str], None] | None, above: tuple[str, ...] = ()
    ) -> Iterator[str]:
        try:
            with os.scandir(folder) as found:
                entries = [(entry, entry.is_dir()) for entry in found if not entry.name.startswith(".")]
        except FileNotFoundError:
            return
        except PermissionError:
            if unreadable is not None and above:
                unreadable(_key_of(prefix.rstrip("/")))
                return
            raise DamagedInputError(f"folder {prefix.rstrip('/') or '.'} cannot be read: permission denied") from None
        # With the slash that a folder has in the keys below it: "a.jpg" comes before "a/b.jpg".
        entries.sort(key=lambda pair: f"{pair[0].name}/" if pair[1] else pair[0].name)
        here = (*above, os.path.realpath(folder))
        for entry, is_folder in entries:
            if is_folder:
                # A link to a folder above would go round for ever.
                if not (entry.is_symlink() and os.path.realpath(entry.path) in here):
                    yield from self._walk(Path(entry.path), f"{prefix}{entry.name}/", unreadable, here)
            elif entry.is_file():
                yield _key_of(prefix + entry.name)

    # --- writing --------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        with self._appearing(key) as temporary:
            yield temporary
            _complete(temporary)

    @contextlib.contextmanager
    def _appearing(self, key: str) -> Iterator[Path]:
        target = self.path(key)
        temporary: Path | None = None
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._sweep(target.parent)
            handle, name = tempfile.mkstemp(
                prefix=f"{TEMPORARY_PREFIX}{os.getpid()}-{_TOKEN}-", suffix=target.suffix, dir=target.parent
            )
            os.close(handle)
            temporary = Path(name)
            yield temporary
            os.replace(temporary, target)
        except OSError as error:
            translated = _translated(error, key)
            if translated is error:
                raise
            raise translated from error
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)

    def write_bytes(self, key: str, data: bytes) -> None:
        with self.writing(key) as path:
            path.write_bytes(data)

    def write_many(self, files: Iterable[tuple[str, bytes]]) -> None:
        begun = f"{TEMPORARY_PREFIX}{os.getpid()}-{_TOKEN}-{secrets.token_hex(4)}"
        written = 0
        of_folder, folder, temporary = None, "", ""
        try:
            for key, data in files:
                above, _, name = key.rpartition("/")
                # A folder's path is found once for all of its files.
                plain = above == of_folder and name not in ("", ".", "..") and "\0" not in name
                target = f"{folder}/{_name_of(name)}" if plain else os.fspath(self.path(key))
                try:
                    if not plain:
                        parent = Path(target).parent
                        parent.mkdir(parents=True, exist_ok=True)
                        self._sweep(parent)
                        of_folder, folder, temporary = above, str(parent), f"{parent}/{begun}"
                    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
                    try:
                        if os.write(handle, data) < len(data):
                            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), target)
                    finally:
                        os.close(handle)
                    os.replace(temporary, target)
                except OSError as error:
                    translated = _translated(error, key)
                    if translated is error:
                        raise
                    raise translated from error
                written += 1
        finally:
            if temporary:
                Path(temporary).unlink(missing_ok=True)
            if written:
                # One for all: a hundred thousand files, each waited for, take minutes.
                os.sync()

    def delete(self, key: str) -> None:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self.path(key).unlink()

    def link(self, source_key: str, target_key: str) -> None:
        source, target = self.path(source_key), self.path(target_key)
        if not source.is_file():
            raise MissingInputError(f"{source_key} is not there")
        if target.exists() and os.path.samefile(source, target):
            self._sweep(target.parent)
            return
        with self._appearing(target_key) as temporary:
            temporary.unlink()
            try:
                # The file itself, not a symbolic link to it; and its mode stays, for it is the source's, too.
                os.link(os.path.realpath(source), temporary)
            except OSError as error:
                if error.errno in _FULL:
                    raise
                shutil.copyfile(source, temporary)
                _complete(temporary)

    def _sweep(self, folder: Path) -> None:
        """Remove what a killed process left half-written here."""
        if folder in self._swept:
            return
        self._swept.add(folder)
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(TEMPORARY_PREFIX):
                    owner, _, rest = entry.name[len(TEMPORARY_PREFIX) :].partition("-")
                    # In a container the killed process may well have had the number that this one has.
                    mine = owner == str(os.getpid()) and not rest.startswith(f"{_TOKEN}-")
                    if mine or not (owner.isdigit() and _alive(int(owner))):
                        with contextlib.suppress(FileNotFoundError):
                            os.unlink(entry.path)


def _current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


# Read once: asking for the mask changes it for a moment, which other threads would see.
_UMASK = _current_umask()


def _complete(written: Path) -> None:
    os.chmod(written, 0o666 & ~_UMASK)
    # The record of a file is committed after the file: it must be on the disk before it is in the database.
    with written.open("rb") as file:
        os.fsync(file.fileno())


_TOKEN = secrets.token_hex(4)
"""Tells this process from an earlier one that had the same number."""


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


_PRIVATE = re.compile("[\uef80-\uefff]")
_UNWRITABLE = re.compile("[\udc80-\udcff\uef80-\uefff]")


def _key_of(name: str) -> str:
    """A file's name or path, as Python holds it, as a key."""
    return _UNWRITABLE.sub(lambda found: "".join(chr(0xEF00 + byte) for byte in os.fsencode(found[0])), name)


def _name_of(key: str) -> str:
    """The file's name or path, as Python holds it, of a key."""
    if _PRIVATE.search(key) is None:
        return key
    return os.fsdecode(b"".join(bytes([ord(c) - 0xEF00]) if _PRIVATE.match(c) else os.fsencode(c) for c in key))


def _translated(error: OSError, key: str) -> Exception:
    if error.errno in _FULL:
        return StorageFullError(
            f"the disk is full: {key} was not written", hint="free some space and run the same command again"
        )
    if error.errno in _REFUSED:
        return DamagedInputError(f"{key} cannot be written: {_reason(error)}")
    return error


def _reason(error: OSError) -> str:
    return "permission denied" if isinstance(error, PermissionError) else (error.strerror or str(error)).lower()
