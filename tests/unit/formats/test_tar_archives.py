"""Tar archives: what is in them, and what is refused before anything is read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable

import pytest

from data_engine.errors import DamagedInputError
from data_engine.formats.tar_archives import TarArchive, unpacked


def packed(*entries: tuple[str, bytes | str]) -> bytes:
    """Files with their bytes; the type of anything else as a text."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, what in entries:
            entry = tarfile.TarInfo(name)
            if isinstance(what, bytes):
                entry.size = len(what)
                archive.addfile(entry, io.BytesIO(what))
            else:
                entry.type, entry.linkname = what.encode(), "/etc/passwd"
                archive.addfile(entry)
    return buffer.getvalue()


def opened(data: bytes) -> TarArchive:
    return TarArchive(io.BytesIO(data), name="x.tar")


DIRECTORY, LINK, HARD_LINK, DEVICE = "5", "2", "1", "3"


def test_files_by_their_plain_names() -> None:
    archive = opened(packed(("./", DIRECTORY), ("./b/", DIRECTORY), ("./b/c.txt", b"abcdefg"), ("a.txt", b"")))
    assert archive.names == ("a.txt", "b/c.txt")
    assert (archive.size("b/c.txt"), archive.head("b/c.txt", 3), archive.head("a.txt", 9)) == (7, b"abc", b"")
    assert list(archive.pieces("b/c.txt", 3)) == [b"abc", b"def", b"g"]
    assert list(archive.pieces("a.txt")) == []


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([("../a", b"x")], "x.tar: the entry '../a' climbs out of its folder"),
        ([("/etc/a", b"x")], "x.tar: the entry '/etc/a' climbs out of its folder"),
        ([("b/../../a", b"x")], "x.tar: the entry 'b/../../a' climbs out of its folder"),
        ([("a", LINK)], "x.tar: the entry 'a' is a link"),
        ([("a", HARD_LINK)], "x.tar: the entry 'a' is a link"),
        ([("a", DEVICE)], "x.tar: the entry 'a' is neither a file nor a folder"),
        ([("a", b"x"), ("./a", b"y")], "x.tar: two entries have the name 'a'"),
        ([("a", b"x"), ("a/b", b"y")], "x.tar: 'a' is both a file and a folder"),
    ],
)
def test_what_is_refused(entries: list[tuple[str, bytes | str]], reason: str) -> None:
    with pytest.raises(DamagedInputError) as caught:
        opened(packed(*entries))
    assert caught.value.message == reason


def test_damage() -> None:
    whole = packed(("a", b"x" * 2000))
    for data in (b"no archive at all" * 100, whole[:700], b"\0" * 100 + whole):
        with pytest.raises(DamagedInputError, match=r"^x\.tar (is not a tar archive|ends in the middle of)"):
            opened(data)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed(compress: Callable[[bytes], bytes]) -> None:
    whole = packed(("a", bytes(range(256)) * 20))
    file, into = io.BytesIO(compress(whole)), io.BytesIO()
    assert unpacked(file, into, name="x") is into
    assert into.getvalue() == whole
    with pytest.raises(DamagedInputError, match=r"^x is not a tar archive, or it is damaged$"):
        unpacked(io.BytesIO(compress(whole)[:-20]), io.BytesIO(), name="x")
    plain = io.BytesIO(whole)
    assert unpacked(plain, io.BytesIO(), name="x") is plain
    assert plain.tell() == 0


def test_one_that_grows_without_measure() -> None:
    with pytest.raises(DamagedInputError, match=r"^x would grow from \d+ bytes to more than \d+$"):
        unpacked(io.BytesIO(gzip.compress(bytes(80 << 20))), io.BytesIO(), name="x")
