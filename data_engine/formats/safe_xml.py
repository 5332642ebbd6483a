"""XML from outside, read piece by piece, with one exact sentence for everything that can be wrong with it.

The standard library's expat is driven directly: it holds no tree, so memory is that of one element.  A document type
is refused as soon as it begins.  Only a DTD can define an entity, so neither a billion laughs nor a file of this
machine can come in.  (defusedxml refuses the same, but by way of ElementTree's parser in pure Python.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from math import isfinite
from xml.parsers import expat

from data_engine.errors import DamagedInputError

TOKEN_BYTES = 16 << 20
"""The longest tag: expat scans one that is not finished again with every piece."""
TEXT_CHARACTERS = 1 << 20
"""The longest text between two tags that is kept."""
DEPTH = 64
"""The deepest nesting."""

ENCODINGS = frozenset({"utf-8", "utf8", "utf-16", "utf16", "iso-8859-1", "latin-1", "us-ascii", "ascii"})
"""What expat decodes by itself."""

Start = Callable[[str, dict[str, str]], None]
"""Told of an element's name and attributes."""
End = Callable[[str, str], None]
"""Told of an element's name and its text, which is empty unless it was asked for."""

_BLANK = b"\xef\xbb\xbf\xff\xfe \t\r\n\0"
"""White space and byte order marks."""
_NO_ELEMENT, _UNCLOSED, _PARTIAL = 3, 5, 6
_TRUNCATED = frozenset({_NO_ELEMENT, _UNCLOSED, _PARTIAL})
_NOT_WELL_FORMED = 4
_WRONG_ENCODING = frozenset({18, 19})


def parse(
    pieces: Iterable[bytes], start: Start, end: End, *, name: str, what: str, root: str, texts: frozenset[str]
) -> Iterator[None]:
    """Tell ``start`` and ``end`` of every element below the root; yields after each piece, so that the caller can
    hand on what is complete.

    Args:
        pieces: the file, in order; 64 KiB to 1 MiB each.
        start: called when an element begins.
        end: called when it ends.
        name: what to call the file in a message.
        what: what the file should be: ``a Pascal VOC file``.
        root: name of the outermost element.
        texts: the elements whose text is wanted; they hold no others.

    Raises:
        DamagedInputError: empty, truncated, not XML, another root, a DTD, an unknown encoding, too long or too deep.
    """
    reader = _Reader(start, end, name, what, root, texts)
    for piece in pieces:
        reader.feed(piece)
        yield
    reader.close()
    yield


class _Reader:
    def __init__(self, start: Start, end: End, name: str, what: str, root: str, texts: frozenset[str]) -> None:
        self._start, self._end = start, end
        self._name, self._what, self._root, self._texts = name, what, root, texts
        self._depth = self._fed = self._characters = 0
        self._blank = True
        self._text: list[str] = []
        parser = self._parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._starts
        parser.EndElementHandler = self._ends
        parser.StartDoctypeDeclHandler = self._doctype
        parser.XmlDeclHandler = self._declaration

    def feed(self, piece: bytes) -> None:
        self._blank = self._blank and not piece.strip(_BLANK)
        self._parse(piece, final=False)
        self._fed += len(piece)
        if self._fed - max(self._parser.CurrentByteIndex, 0) > TOKEN_BYTES:
            raise DamagedInputError(f"{self._name} holds a tag of more than {TOKEN_BYTES >> 20} MiB")

    def close(self) -> None:
        self._parse(b"", final=True)

    def _parse(self, piece: bytes, *, final: bool) -> None:
        try:
            self._parser.Parse(piece, final)
        except expat.ExpatError as error:
            raise DamagedInputError(self._sentence(error, piece)) from None

    def _sentence(self, error: expat.ExpatError, piece: bytes) -> str:
        name = self._name
        if error.code in _TRUNCATED:
            if self._blank:
                return f"{name} is empty, not {self._what}"
            return f"{name} ends in the middle: it is a truncated piece of XML, not {self._what}"
        place = f"line {error.lineno}, column {error.offset + 1}"
        if error.code in _WRONG_ENCODING:
            return f"{name} is not in the encoding that it names"
        if error.code == _NOT_WELL_FORMED and self._not_utf8_here(piece):
            return f"{name} holds text that is not in its encoding, at {place}"
        return f"{name} is not XML: {expat.ErrorString(error.code)} at {place}"

    def _not_utf8_here(self, piece: bytes) -> bool:
        """Whether the parser stands on a byte beyond ASCII, which only a wrong encoding can make a wrong token."""
        here = self._parser.ErrorByteIndex - self._fed
        return 0 <= here < len(piece) and any(byte > 127 for byte in piece[here : here + 4])

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ENCODINGS:
            raise DamagedInputError(f"{self._name} is written in {encoding!r}", hint="save it as UTF-8")

    def _doctype(self, *_what: object) -> None:
        raise DamagedInputError(
            f"{self._name} has a document type (<!DOCTYPE …>), which can define entities: the file is not read; remove "
            "the document type if you trust it",
        )

    def _starts(self, tag: str, attributes: dict[str, str]) -> None:
        if self._depth == 0:
            if tag != self._root:
                raise DamagedInputError(
                    f"{self._name} is not {self._what}: its outermost element is <{tag}>, not <{self._root}>"
                )
        elif self._depth == DEPTH:
            raise DamagedInputError(f"{self._name} is nested too deeply to be {self._what}")
        else:
            self._text.clear()
            self._characters = 0
            self._parser.CharacterDataHandler = self._reads if tag in self._texts else None
            self._start(tag, attributes)
        self._depth += 1

    def _reads(self, text: str) -> None:
        self._characters += len(text)
        if self._characters > TEXT_CHARACTERS:
            raise DamagedInputError(f"{self._name} holds a text of more than {TEXT_CHARACTERS} characters")
        self._text.append(text)

    def _ends(self, tag: str) -> None:
        self._depth -= 1
        if self._depth:
            text = "".join(self._text) if tag in self._texts else ""
            self._text.clear()
            self._parser.CharacterDataHandler = None
            self._end(tag, text)


def root_of(head: bytes) -> str | None:
    """The name of the outermost element of a file that begins so; None when it is not XML.

    Of a file with a document type it is what that says: nothing after it is read, for it may define entities.
    """
    found: list[str] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda tag, _attributes: found.append(tag)

    def doctype(root: str, *_what: object) -> None:
        found.append(root)
        raise _EnoughError

    parser.StartDoctypeDeclHandler = doctype
    with suppress(expat.ExpatError, LookupError, ValueError, _EnoughError):
        parser.Parse(head, False)
    return found[0] if found else None


class _EnoughError(Exception):
    """Ends the reading of a file whose outermost element is known."""


def finite(text: str | None, where: str) -> float:
    """A coordinate.

    Raises:
        DamagedInputError: missing, not a number, not finite; ``where`` begins the sentence.
    """
    if text is None or not text.strip():
        raise DamagedInputError(f"{where} is missing")
    try:
        value = float(text)
    except ValueError:
        raise DamagedInputError(f"{where} is {text.strip()[:40]!r}, which is not a number") from None
    if not isfinite(value):
        raise DamagedInputError(f"{where} is {text.strip()!r}, which is not a number")
    return value


def pixels(text: str | None, where: str) -> int:
    """A width or height, at least 1; ``640.0`` is read too.

    Raises:
        DamagedInputError: as :func:`finite`, not whole, below 1.
    """
    value = finite(text, where)
    if value < 1 or value != int(value):
        raise DamagedInputError(f"{where} is {value:g}, not a whole number of pixels from 1")
    return int(value)
