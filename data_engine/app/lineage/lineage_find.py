"""What is meant by the words of ``lineage``: one thing, or an error that says what there is."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from pathlib import Path

from data_engine.app.engine import Engine, present
from data_engine.errors import MissingInputError, UsageError
from data_engine.lineage import find, tombstones
from data_engine.lineage.ancestry_nodes import KINDS, SHORT, describe
from data_engine.lineage.ancestry_rows import Rows
from data_engine.lineage.database import Connection
from data_engine.lineage.find import Candidate
from data_engine.words import listed

_NUMBERED = ("task", "job")


def meant(engine: Engine, connection: Connection, words: Sequence[str], *, command: str = "show") -> Candidate:
    """The one thing that the words name; before the name may stand its kind: ``job 12``, ``video gate``, ``job:<id>``.

    Args:
        command: of ``lineage``, for the hints.

    Raises:
        MissingInputError: there is no such thing.
        UsageError: several go by that name.
    """
    text, kinds = _parted(words)
    found = find.candidates(connection, text, kinds)
    path = Path(text)
    if not found and present(path) and path.is_file():
        found = _in_file(engine, connection, path, kinds)
    if len(found) == 1:
        return found[0]
    if found:
        raise _ambiguous(connection, text, found)
    for stone in tombstones.named(connection, text, kinds):
        raise MissingInputError(_purged(stone))
    close = find.near(connection, text, kinds)
    what = f"{kinds[0]} {text!r}" if len(kinds) == 1 else repr(text)
    said = f"; did you mean {listed(close)}?" if close else ""
    if len(kinds) == 1 and kinds[0] in _NUMBERED:
        known = [str(number) for number in find.numbers(connection, kinds[0])]
        said = f"; there are {listed(known)}" if known else f"; there is no {kinds[0]} yet"
    hint = f"dataengine lineage show {shlex.quote(close[0])}" if close and command == "show" else "dataengine status"
    raise MissingInputError(f"nothing is recorded of {what}{said}", hint=hint)


def _purged(stone: tombstones.Tombstone) -> str:
    """What is left to say of a source that was purged."""
    versions = [f"v{number}" for number in sorted(map(int, stone.detail["versions"]))]
    held = f"; {listed(versions)} had {'it' if stone.kind == 'frame' else 'frames of it'}" if versions else ""
    models = [identity[:SHORT] for identity in stone.detail["models"]]
    trained = f"; models trained on it: {listed(models)}" if models else ""
    reason = f" ({stone.reason})" if stone.reason else ""
    return f"{stone.kind} {stone.target} was purged on {stone.at[:10]}{reason}{held}{trained}"


def _parted(words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The name, and the kinds it may be of."""
    first, *others = words
    kind, colon, key = first.partition(":")
    if colon and kind in KINDS:
        first, others = kind, [key, *others]
    elif not others and len(split := first.split(None, 1)) == 2 and split[0] in KINDS:
        first, others = split[0], split[1:]
    if others and first in KINDS:
        return " ".join(others).strip(), (first,)
    return " ".join(words).strip(), KINDS


def _in_file(engine: Engine, connection: Connection, path: Path, kinds: Collection[str]) -> list[Candidate]:
    absolute = path.resolve()
    if absolute.is_relative_to(engine.root):
        found = find.by_file(connection, engine.storage.key_of(path), None, kinds)
        if found:
            return found
    from data_engine.media.images import sha256_of

    # A copy, or the link to the model in use.
    return find.by_file(connection, "", sha256_of(absolute), kinds)


def _ambiguous(connection: Connection, text: str, found: Sequence[Candidate]) -> UsageError:
    by_kind: dict[str, list[str]] = {}
    for candidate in found:
        by_kind.setdefault(candidate.kind, []).append(candidate.key)
    nodes = describe(Rows(connection), by_kind)
    labels = [f"{one.kind} {nodes[f'{one.kind}:{one.key}'].label}" for one in found]
    first = found[0]
    several = sum(candidate.kind == first.kind for candidate in found) > 1
    name = first.key[: SHORT + SHORT] if several else text
    return UsageError(
        f"{text!r} may be {listed(labels)}",
        hint=f"say which: dataengine lineage show {first.kind} {shlex.quote(name)}",
    )
