"""Archives from outside."""

from __future__ import annotations

import io
import stat
import struct
import warnings
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.errors import DamagedInputError
from data_engine.formats import archives
from data_engine.formats.archives import Archive


def packed(entries: list[tuple[str, bytes]], *, mode: int = 0, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", method) as file:
        warnings.simplefilter("ignore")  # of two entries of one name
        for name, data in entries:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            entry.compress_type = method
            file.writestr(entry, data)
    return buffer.getvalue()


def opened(data: bytes) -> Archive:
    return Archive(io.BytesIO(data), name="x.zip")


def refused(data: bytes) -> str:
    with pytest.raises(DamagedInputError) as caught:
        opened(data)
    return caught.value.message


def test_files_by_their_plain_names() -> None:
    archive = opened(packed([("b/", b""), ("b/./c.txt", b"12345"), ("a.txt", b"")]))
    assert archive.names == ("a.txt", "b/c.txt")
    assert (archive.size("b/c.txt"), archive.read("b/c.txt"), archive.read("a.txt")) == (5, b"12345", b"")
    assert list(archive.pieces("b/c.txt", 2)) == [b"12", b"34", b"5"]
    assert archive.head("b/c.txt", 3) == b"123"
    with pytest.raises(KeyError):
        archive.read("c.txt")


@pytest.mark.parametrize(
    "name",
    ["../a", "b/../../a", "/etc/passwd", "..", "C:\\a", "C:/a", "..\\a", "\\\\host\\a", "b\\..\\..\\a", "/", "./"],
)
def test_what_climbs_out_is_refused(name: str) -> None:
    data = packed([("sound.txt", b"1"), ("X" * len(name), b"2")]).replace(b"X" * len(name), name.encode())
    assert refused(data) == f"x.zip: the entry {name!r} climbs out of its folder"


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        (stat.S_IFLNK | 0o777, "x.zip: the entry 'a' is a link"),
        (stat.S_IFIFO | 0o600, "x.zip: the entry 'a' is neither a file nor a folder"),
        (stat.S_IFCHR | 0o600, "x.zip: the entry 'a' is neither a file nor a folder"),
    ],
)
def test_links_and_devices_are_refused(mode: int, message: str) -> None:
    assert refused(packed([("a", b"/etc/passwd")], mode=mode)) == message
    assert opened(packed([("a", b"1")], mode=stat.S_IFREG | 0o644)).names == ("a",)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.txt", "a.txt"], "x.zip: two entries have the name 'a.txt'"),
        (["b/a.txt", "b//./a.txt"], "x.zip: two entries have the name 'b/a.txt'"),
        (["b", "b/a.txt"], "x.zip: 'b' is both a file and a folder"),
        (["b/", "b"], "x.zip: 'b' is both a file and a folder"),
    ],
)
def test_one_name_is_one_file(names: list[str], message: str) -> None:
    assert refused(packed([(name, b"") for name in names])) == message


def test_a_bomb_is_not_unpacked() -> None:
    bomb = packed([("a.json", bytes(65 << 20))])
    message = refused(bomb)
    assert message.startswith("x.zip: the entry 'a.json' would grow from 66")
    assert message.endswith(" bytes to 68157440")
    assert opened(packed([("a.json", bytes(1 << 20))])).size("a.json") == 1 << 20


def test_the_sum_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = packed([("a", b"12345"), ("b", b"12345")])
    monkeypatch.setattr(archives, "MOST_BYTES", 9)
    assert refused(data) == "x.zip would unpack to 10 bytes, more than 9"
    monkeypatch.setattr(archives, "MOST_ENTRIES", 1)
    assert refused(data) == "x.zip holds 2 entries, more than 1"


def test_entries_may_not_share_their_bytes() -> None:
    # Many names in the directory at the end for one and the same packed file.
    data = packed([("a", b"1" * 1000)], method=zipfile.ZIP_STORED)
    start = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    directory = b"".join(data[start:end][:-1] + bytes([ord("a") + n]) for n in range(20))
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 20, 20, len(directory), start, 0)
    assert refused(data[:start] + directory + tail) == "x.zip: its entries lie over one another"


def test_an_encrypted_archive_is_refused() -> None:
    data = bytearray(packed([("a", b"1")]))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert refused(bytes(data)) == "x.zip is encrypted"


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"not a zip archive at all"])
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    assert refused(data) == "x.zip is not a zip archive, or it is damaged"


def test_damaged_bytes_are_found_on_reading() -> None:
    data = packed([("a", bytes(range(256)) * 9)], method=zipfile.ZIP_STORED).replace(
        b"\x10\x11\x12", b"\x10\x00\x12", 1
    )
    with pytest.raises(DamagedInputError, match="the entry 'a' is damaged"):
        opened(data).read("a")


@given(st.data())
def test_a_broken_archive_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    whole = packed([("a", b"123" * 50), ("b/c", b"45")])
    at = data.draw(st.integers(0, len(whole)))
    cut, new = data.draw(st.integers(0, 20)), data.draw(st.binary(max_size=8))
    try:
        archive = opened(whole[:at] + new + whole[at + cut :])
        sizes = [len(archive.read(name)) for name in archive.names]
    except DamagedInputError:
        sizes = []
    assert len(sizes) <= 2


@pytest.mark.required
def test_cvat_s_own_archives_are_read(shared) -> None:
    for path in sorted((shared / "cvat" / "samples").glob("*.zip")):
        with path.open("rb") as file:
            archive = Archive(file, name=path.name)
            assert [len(archive.read(name)) for name in archive.names] == [archive.size(name) for name in archive.names]
            assert archive.names
