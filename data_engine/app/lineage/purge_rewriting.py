"""Files without a source: JSON loses the members that are about it, lists their lines, column files their rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path, PurePosixPath

import msgspec

from data_engine.app.engine import Engine
from data_engine.errors import DamagedInputError
from data_engine.formats.pruning import Marks, is_drawn_lineage, pruned, pruned_lines, pruned_log, pruned_xml
from data_engine.lineage import purging
from data_engine.types import content_id

_LINES = frozenset([".txt", ".csv", ".tsv", ".md", ".mmd", ".mermaid", ".yaml", ".yml", ".log", ".tree", ".jsonl", ""])
Pruner = Callable[[bytes], bytes]


def pruner(suffix: str, log: bool, marks: Marks) -> Pruner | None:
    """What takes a source out of a file of a kind that names it; None where this program cannot clean that kind.

    What it gives back is empty where nothing is left.

    Args:
        suffix: in lower case.
        log: whether the file is one of this program's logs.
        marks: what the source is named by.
    """
    if suffix == ".json":
        return lambda data: _pruned_json(data, marks)
    if suffix == ".xml":
        return lambda data: pruned_xml(data, marks)
    if suffix == ".jsonl" and log:
        return lambda data: b"\n".join(pruned_log(line, marks) for line in data.split(b"\n"))
    return (lambda data: _pruned_text(data, marks)) if suffix in _LINES else None


def _pruned_json(data: bytes, marks: Marks) -> bytes:
    try:
        found = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise DamagedInputError(f"it names what was purged and cannot be read as JSON: {error}") from None
    left = pruned(found, marks)
    if left is None:
        return b""
    written = msgspec.json.encode(left)
    # As it was written: in lines, where it was in lines.
    lines = data.count(b"\n")
    return msgspec.json.format(written, indent=1) + b"\n" if lines > 1 else written + data[-lines:] * lines


def _pruned_text(data: bytes, marks: Marks) -> bytes:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return data  # no list of this program
    if is_drawn_lineage(text):
        return b""  # one thing is told in several lines; it is drawn again with one command
    return pruned_lines(text, marks).encode()


def write_over(path: Path, data: bytes) -> None:
    """Write a log anew as far as it was read: others may be writing to its end at this moment."""
    with path.open("r+b") as file:
        file.write(data)


def take_rows(
    engine: Engine, key: str, path: Path, gone: Collection[str], rewritten: Counter[str], removed: Counter[str]
) -> None:
    """Write a column file without the rows of the frames; one that lineage does not read rows of goes as a whole."""
    from data_engine.formats.column_rows import frames_in, without_frames

    if not any(frame in gone for frame in frames_in(path)):
        return
    with engine.database.read() as connection:
        tables = [name for name in purging.column_files(connection, key) if name != "canaries"]
    if not tables:
        engine.storage.delete(key)
        removed["column file"] += 1
        return
    left = without_frames(path.read_bytes(), gone, name=key)
    after = None
    if left.frame_ids:
        part = content_id("part", left.owner, *left.frame_ids)
        after = (PurePosixPath(key).parent / f"{part}.npz").as_posix()
        engine.storage.write_bytes(after, left.data)
    with engine.database.write() as connection:
        for table in tables:
            purging.move_rows(connection, table, key, after, left.frame_ids)
    engine.storage.delete(key)
    rewritten["column file"] += 1
