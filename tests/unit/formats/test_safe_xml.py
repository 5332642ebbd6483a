"""XML from outside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.errors import DamagedInputError
from data_engine.formats import safe_xml
from data_engine.formats.safe_xml import finite, parse, pixels, root_of
from data_engine.formats.xml_text import escaped, number, plain


def told(pieces: Iterable[bytes], texts: frozenset[str] = frozenset({"t"})) -> list[tuple[str, object]]:
    events: list[tuple[str, object]] = []
    for _ in parse(
        pieces,
        lambda tag, attributes: events.append((tag, attributes)),
        lambda tag, text: events.append((tag, text)),
        name="x.xml",
        what="a test file",
        root="r",
        texts=texts,
    ):
        pass
    return events


def refused(pieces: Iterable[bytes]) -> DamagedInputError:
    with pytest.raises(DamagedInputError) as caught:
        told(pieces)
    return caught.value


DOCUMENT = '<?xml version="1.0"?>\n<r>\n  <a b="1 &lt; ü"><t>x&#10;ü</t> </a><u>passed over</u>\n</r>\n'
EVENTS = [("a", {"b": "1 < ü"}), ("t", {}), ("t", "x\nü"), ("a", ""), ("u", {}), ("u", "")]


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize(
    "data",
    [
        DOCUMENT.encode(),
        b"\xef\xbb\xbf" + DOCUMENT.encode(),
        DOCUMENT.encode("utf-16"),
        DOCUMENT.encode("utf-16-be").join([b"\xfe\xff", b""]),
        DOCUMENT.replace("?>", ' encoding="ISO-8859-1"?>', 1).encode("latin-1"),
    ],
    ids=["utf-8", "utf-8 with a mark", "utf-16", "utf-16 big", "latin-1"],
)
def test_every_encoding_reads_alike_in_pieces_of_any_size(data: bytes, size: int) -> None:
    assert told(data[start : start + size] for start in range(0, len(data), size)) == EVENTS


LAUGHS = b"""<?xml version="1.0"?>
<!DOCTYPE r [
  <!ENTITY a "haha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">
]>
<r><t>&c;</t></r>"""
OUTSIDE = b'<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/hostname">]><r><t>&a;</t></r>'
DTD = b'<!DOCTYPE r SYSTEM "http://localhost/r.dtd"><r/>'
PARAMETER = b'<!DOCTYPE r [<!ENTITY % a SYSTEM "file:///etc/hostname"> %a;]><r/>'


@pytest.mark.parametrize("data", [LAUGHS, OUTSIDE, DTD, PARAMETER])
def test_entities_cannot_be_defined(data: bytes) -> None:
    error = refused([data])
    assert error.message == (
        "x.xml has a document type (<!DOCTYPE …>), which can define entities: the file is not read; "
        "remove the document type if you trust it"
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "x.xml is empty, not a test file"),
        (b"\xef\xbb\xbf \n", "x.xml is empty, not a test file"),
        (b"<r><a>", "x.xml ends in the middle: it is a truncated piece of XML, not a test file"),
        (b"<r><a", "x.xml ends in the middle: it is a truncated piece of XML, not a test file"),
        ("<r><a>ü".encode()[:-1], "x.xml ends in the middle: it is a truncated piece of XML, not a test file"),
        (b"<q><a/></q>", "x.xml is not a test file: its outermost element is <q>, not <r>"),
        (b'{"a": 1}', "x.xml is not XML: not well-formed (invalid token) at line 1, column 1"),
        (b"<r>\n <a></b></r>", "x.xml is not XML: mismatched tag at line 2, column 7"),
        (b"<r/><r/>", "x.xml is not XML: junk after document element at line 1, column 5"),
        (b"<r>&nbsp;</r>", "x.xml is not XML: undefined entity at line 1, column 4"),
        (b"<r><a b='1' b='2'/></r>", "x.xml is not XML: duplicate attribute at line 1, column 13"),
        ("<r>\n<t>ü</t></r>".encode("latin-1"), "x.xml holds text that is not in its encoding, at line 2, column 4"),
        (b'<?xml version="1.0" encoding="gb2312"?><r/>', "x.xml is written in 'gb2312'"),
        (b'<?xml version="1.0" encoding="nonsense"?><r/>', "x.xml is written in 'nonsense'"),
        (b'<?xml version="1.0" encoding="utf-16"?><r/>', "x.xml is not in the encoding that it names"),
        (b"<r>" + b"<a>" * 100, "x.xml is nested too deeply to be a test file"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(data: bytes, message: str) -> None:
    assert refused([data]).message == message


def test_a_tag_or_a_text_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(head: bytes) -> Iterator[bytes]:
        yield head
        for _ in range(1000):
            yield b"a" * 4096

    monkeypatch.setattr(safe_xml, "TOKEN_BYTES", 1 << 20)
    assert refused(endless(b'<r><a b="')).message == "x.xml holds a tag of more than 1 MiB"
    assert refused(endless(b"<r><t>")).message == "x.xml holds a text of more than 1048576 characters"


def test_the_root_is_seen_in_the_first_bytes() -> None:
    assert root_of(DOCUMENT.encode()[:40]) == "r"
    assert root_of(DOCUMENT.encode("utf-16")[:90]) == "r"
    # What a document type says of it, whatever comes after.
    assert root_of(b"<!DOCTYPE r []><s/>") == root_of(LAUGHS) == "r"
    for other in (b"", b"{", b'<?xml version="1.0" encoding="nonsense"?><r/>'):
        assert root_of(other) is None


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity", "1e999", "1,5", "x", "", " ", None])
def test_what_is_no_number_is_refused(text: str | None) -> None:
    with pytest.raises(DamagedInputError, match=r"^x: left is "):
        finite(text, "x: left")


@pytest.mark.parametrize(("text", "size"), [("640", 640), (" 640.0 ", 640)])
def test_sizes_are_whole(text: str, size: int) -> None:
    assert pixels(text, "x: its width") == size
    for wrong in ("0", "-1", "640.5"):
        with pytest.raises(DamagedInputError, match=r"^x: its width is .*, not a whole number of pixels from 1$"):
            pixels(wrong, "x: its width")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_read_back_to_the_bit_and_have_no_exponent(value: float) -> None:
    text = number(value)
    assert float(text) == value
    assert not set(text) & set("eE")


def test_values_are_written_plainly() -> None:
    assert [number(v) for v in (3, 3.0, -0.0, 0.1, 1e-7, 1e22)] == [
        "3", "3", "0", "0.1", "0.0000001", "10000000000000000000000",
    ]  # fmt: skip
    assert [plain(v) for v in (True, False, 0.5, 3.0, 7, "red", None)] == [
        "true", "false", "0.5", "3", "7", "red", "None",
    ]  # fmt: skip


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")))
def test_any_text_survives(text: str) -> None:
    if any(ord(c) & 0xFFFE == 0xFFFE for c in text):
        return
    assert told([f"<r><a b=\"{escaped(text)}\"/><t>{escaped(text)}</t></r>".encode()]) == [
        ("a", {"b": text}), ("a", ""), ("t", {}), ("t", text),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["a\x00", "\x1b[31m", "\ud800", "\uffff"])
def test_what_xml_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(DamagedInputError, match="which XML cannot hold"):
        escaped(text)
    assert escaped('<&">\t\r\n') == "&lt;&amp;&quot;&gt;&#9;&#13;&#10;"
