"""``hard_frames.txt``: the frames chosen for annotation, one path a line, the most wanted first.

UTF-8.  Lines that begin with ``#`` are for people; empty lines do not count.  A path is the whole line, spaces
included, so only a line break cannot stand in a name; a name that begins with ``#`` is written as ``./#name``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from data_engine.errors import DamagedInputError

_RENAME = "rename the file"


def write_hard_frames(paths: Iterable[str], header: Sequence[str] = ()) -> str:
    """The list as text; a path that comes again is written once, at its first place.

    Args:
        paths: storage keys, or paths as the user gave them.
        header: lines for people, put before the paths; those without a leading ``#`` get one.

    Raises:
        DamagedInputError: a path that is empty, holds a line break or cannot be written as UTF-8.
    """
    lines = [line if line.startswith("#") else f"# {line}" for text in header for line in text.splitlines()]
    for path in dict.fromkeys(paths):
        if "\n" in path or "\r" in path:
            raise DamagedInputError(f"file name {path!r} holds a line break", hint=_RENAME)
        if not path.strip():
            raise DamagedInputError(f"file name {path!r} is empty", hint=_RENAME)
        try:
            path.encode("utf-8")
        except UnicodeEncodeError:
            raise DamagedInputError(f"file name {path!r} is not valid UTF-8", hint=_RENAME) from None
        lines.append(f"./{path}" if path.startswith("#") else path)
    return "".join(f"{line}\n" for line in lines)


def read_hard_frames(data: bytes, *, name: str = "hard_frames.txt") -> tuple[str, ...]:
    """The paths in their order, each once.

    Args:
        data: the whole file.
        name: what to call the file in a message.

    Raises:
        DamagedInputError: not UTF-8 text, as a picture or a model given by mistake is not.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DamagedInputError(f"{name} is not a list of frames: byte {error.start} is not UTF-8 text") from None
    if "\0" in text:
        raise DamagedInputError(f"{name} is not a list of frames: it holds zero bytes")
    lines = (line.removesuffix("\r") for line in text.split("\n"))
    paths = (line for line in lines if line.strip() and not line.startswith("#"))
    return tuple(dict.fromkeys(path.removeprefix("./") if path.startswith("./#") else path for path in paths))
