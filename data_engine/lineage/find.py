"""What people may mean by a word: an id or its beginning, a number, a name, a file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Any

import sqlalchemy as sa

from data_engine.lineage import people
from data_engine.lineage.database import Connection
from data_engine.lineage.tables import (
    IMPORT,
    accepted,
    dataset_versions,
    files,
    frames,
    jobs,
    models,
    proposals,
    selections,
    tasks,
    videos,
)
from data_engine.types import ID_LENGTH

SHORTEST = 4
"""Digits of an id from which on they are taken for its beginning."""
MOST = 8
"""Candidates of one kind that are looked up."""
_LOOKED_AT = 1000
"""Names of frames that are looked at for near ones."""
_LAST = "\U0010ffff"
_TABLES = {
    "box": accepted,
    "proposal": proposals,
    "frame": frames,
    "video": videos,
    "version": dataset_versions,
    "model": models,
    "selection": selections,
    "task": tasks,
    "job": jobs,
}


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """One thing that may be meant."""

    kind: str
    key: str
    """Its id; of a camera its name."""


def candidates(connection: Connection, text: str, kinds: Collection[str]) -> list[Candidate]:
    """Everything of these kinds that goes by this id, beginning of an id, number or name.

    Jobs, tasks and selections are known by a number only where their kind was said, for a bare number is a version's.
    """
    found = set(_by_id(connection, text, kinds))
    # A box that was shown again as a proposal goes by one id in both lives.
    found -= {Candidate("proposal", one.key) for one in found if one.kind == "box"}
    if found and len(text) == ID_LENGTH:
        return sorted(found)
    found |= {*_by_number(connection, text, kinds, alone=len(kinds) == 1), *_by_name(connection, text, kinds)}
    if not found and "frame" in kinds:
        found = set(_rows(connection, "frame", sa.select(frames.c.id).where(frames.c.name == text)))
    return sorted(found)


def by_file(connection: Connection, key: str, sha256: str | None, kinds: Collection[str]) -> list[Candidate]:
    """What a file holds, by its storage key or else by its content."""
    found: set[Candidate] = set()
    known = files.c.key == key if sha256 is None else files.c.sha256 == sha256
    for row in connection.execute(sa.select(files.c.frame_id, files.c.video_id).where(known)):
        found |= {Candidate(kind, id) for kind, id in (("frame", row.frame_id), ("video", row.video_id)) if id}
    if sha256 is None:
        weights = (models.c.key == key) | (models.c.weights_key == key)
        found |= set(_rows(connection, "model", sa.select(models.c.id).where(weights)))
        found |= set(_rows(connection, "video", sa.select(videos.c.id).where(videos.c.key == key)))
        version = sa.select(dataset_versions.c.id).where(dataset_versions.c.key == key)
        found |= set(_rows(connection, "version", version))
    else:
        found |= set(_by_id(connection, sha256[:ID_LENGTH], ("model", "video", "frame")))
    return sorted(candidate for candidate in found if candidate.kind in kinds)


def near(connection: Connection, text: str, kinds: Collection[str]) -> list[str]:
    """Names that are spelled like this one, nearest first: of cameras, videos, their files, frames, people, versions.

    Of frames only those are looked at whose names begin most alike.
    """
    names: set[str] = set()
    if "camera" in kinds:
        names |= set(connection.scalars(sa.select(videos.c.camera).distinct()))
    if "video" in kinds:
        for row in connection.execute(sa.select(videos.c.name, videos.c.key)):
            names |= {row.name, PurePosixPath(row.key).name}
    if "frame" in kinds:
        names |= _frames_like(connection, text)
    if "person" in kinds:
        names |= people.everybody(connection)
    if "version" in kinds:
        names |= {f"v{number}" for number in connection.scalars(sa.select(dataset_versions.c.number))}
    # Capital letters are mistaken most.
    folded: dict[str, list[str]] = {}
    for name in sorted(names):
        folded.setdefault(name.casefold(), []).append(name)
    close = difflib.get_close_matches(text.casefold(), sorted(folded), n=3)
    return [name for found in close for name in folded[found]][:3]


def _frames_like(connection: Connection, text: str) -> set[str]:
    """Names of frames that begin as the text does, as far as any does; the index finds them."""
    for quarters in (3, 2, 1):
        begun = text[: len(text) * quarters // 4]
        query = sa.select(frames.c.name).where(frames.c.name >= begun, frames.c.name < f"{begun}{_LAST}")
        if found := set(connection.scalars(query.order_by(frames.c.name).limit(_LOOKED_AT))):
            return found
    return set()


def numbers(connection: Connection, kind: str) -> list[int]:
    """The first numbers that tasks or jobs have, for those who mistook one."""
    table = _TABLES[kind]
    query = sa.select(table.c.number).where(table.c.number.is_not(None), _given(table)).distinct()
    return list(connection.scalars(query.order_by(table.c.number).limit(MOST)))


def _by_id(connection: Connection, text: str, kinds: Collection[str]) -> Iterator[Candidate]:
    begun = text.lower()
    if not re.fullmatch(rf"[0-9a-f]{{{SHORTEST},{ID_LENGTH}}}", begun):
        return
    known = tuple(kind for kind in _TABLES if kind in kinds)
    # What has a whole id of its own is nothing else beside: to look into the index of every table takes longest.
    parts = (known[:1], known[1:]) if len(text) == ID_LENGTH else (known,)
    for part in filter(None, parts):
        # "g" comes after every hexadecimal digit, in every collation.
        rows = connection.execute(_beginning_so(part), {"begun": begun, "end": f"{begun}g"}).all()
        yield from (Candidate(row.kind, row.id) for row in rows)
        if rows:
            return


@cache
def _beginning_so(kinds: tuple[str, ...]) -> sa.CompoundSelect[Any]:
    """The query for what has an id between two: to build it takes longer than to ask it."""
    parts = []
    for kind in kinds:
        identity = _TABLES[kind].c.id
        begins = (identity >= sa.bindparam("begun")) & (identity < sa.bindparam("end"))
        part = sa.select(sa.literal(kind).label("kind"), identity).where(begins).distinct()
        parts.append(sa.select(part.order_by(identity).limit(MOST).subquery()))
    return sa.union_all(*parts)


def _by_number(connection: Connection, text: str, kinds: Collection[str], *, alone: bool) -> Iterator[Candidate]:
    version = re.fullmatch(r"[vV]?(\d{1,9})", text)
    if version is None:
        return
    number = int(version[1])
    for kind in kinds:
        if kind == "version" or (alone and kind in ("task", "job", "selection") and text.isdigit()):
            table = _TABLES[kind]
            query = sa.select(table.c.id).where(table.c.number == number)
            query = query.where(_given(table)) if kind in ("task", "job") else query
            yield from _rows(connection, kind, query)


def _given(table: sa.Table) -> sa.ColumnElement[bool]:
    """Tasks and jobs that people were given: an import has a number too, but nobody ever saw it."""
    return ~table.c.backend.startswith(IMPORT, autoescape=True)


def _by_name(connection: Connection, text: str, kinds: Collection[str]) -> Iterator[Candidate]:
    if "camera" in kinds:
        known = sa.exists().where(videos.c.camera == text) | sa.exists().where(frames.c.camera == text)
        if connection.scalar(sa.select(known)):
            yield Candidate("camera", text)
    if "person" in kinds and text in people.everybody(connection):
        yield Candidate("person", text)
    if "video" in kinds:
        # By its file's name too, which the name may be without its ending.
        called = (videos.c.name == text) | videos.c.key.endswith(f"/{text}", autoescape=True)
        yield from _rows(connection, "video", sa.select(videos.c.id).where(called))
    if "proposal" in kinds:
        # Those of a file from elsewhere keep the ids that they came with.
        yield from _rows(connection, "proposal", sa.select(proposals.c.id).where(proposals.c.id == text).distinct())
    if "frame" in kinds:
        # Names in tasks and datasets, and of sampled frames, end with the beginning of the frame's id.
        short = re.search(r"_([0-9a-f]{8,32})\.\w+$", text)
        if short is not None:
            yield from _by_id(connection, short[1], ("frame",))


def _rows(connection: Connection, kind: str, query: sa.Select[Any]) -> Iterator[Candidate]:
    for key in connection.scalars(query.limit(MOST)):
        yield Candidate(kind, key)
