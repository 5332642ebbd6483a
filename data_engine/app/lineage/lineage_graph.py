"""The lineage of one thing for a page: by its kind and id, never by a file that somebody names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from data_engine.app.engine import Engine
from data_engine.errors import MissingInputError
from data_engine.formats.graph import Direction, Graph
from data_engine.lineage import champions, find
from data_engine.lineage.ancestry import ancestry
from data_engine.lineage.ancestry_nodes import KINDS, describe
from data_engine.lineage.ancestry_rows import Rows

DEPTH, DEEPEST = 2, 6
Ways = Literal["both", "up", "down"]
_WAYS: dict[Ways, tuple[Direction, ...]] = {"both": ("up", "down"), "up": ("up",), "down": ("down",)}


@dataclass(frozen=True, slots=True)
class Found:
    """A thing that goes by the words that were asked for."""

    id: str
    """``<kind>:<key>``."""
    kind: str
    label: str


def graph_of(engine: Engine, what: str, *, ways: Ways = "both", depth: int = DEPTH) -> Graph:
    """The surroundings of ``<kind>:<id>``.

    Raises:
        MissingInputError: nothing of that kind and id is recorded.
    """
    kind, _colon, key = what.partition(":")
    with engine.database.read() as connection:
        found = find.candidates(connection, key, (kind,)) if kind in KINDS and key else []
        if len(found) != 1:
            raise MissingInputError(
                f"nothing is recorded of {what!r}", hint="look for it by a part of its id or its name"
            )
        graph = ancestry(
            connection, found[0].kind, found[0].key, directions=_WAYS[ways], depth=min(max(depth, 1), DEEPEST)
        )
        used = champions.newest(connection)
    # By what is recorded: whether the file in use is that model's is found out by reading it, which doctor does.
    model = None if used is None else graph.nodes.get(f"model:{used.model_id}")
    if model is None:
        return graph
    return replace(graph, nodes={**graph.nodes, model.id: replace(model, label=f"{model.label}, in use")})


def search(engine: Engine, words: str) -> list[Found]:
    """What goes by an id, the beginning of one, a number with its kind before it (``job 12``), or a name."""
    first, _space, rest = words.strip().partition(" ")
    kinds, text = ((first,), rest.strip()) if first in KINDS and rest.strip() else (KINDS, words.strip())
    if not text:
        return []
    with engine.database.read() as connection:
        found = find.candidates(connection, text, kinds)
        by_kind: dict[str, list[str]] = {}
        for one in found:
            by_kind.setdefault(one.kind, []).append(one.key)
        nodes = describe(Rows(connection), by_kind)
    return [Found(node.id, node.kind, node.label) for node in nodes.values()]
