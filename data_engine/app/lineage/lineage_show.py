"""``lineage show``: what a thing comes from, and what came of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_engine.app.engine import Engine
from data_engine.app.lineage.lineage_find import meant
from data_engine.app.models.models import KINDS, champion_key
from data_engine.app.outputs import output_key
from data_engine.formats.graph import Direction, Graph, Node, graph_data
from data_engine.formats.graph_text import tree
from data_engine.formats.mermaid import mermaid as as_mermaid
from data_engine.lineage.ancestry import ancestry
from data_engine.types import ID_LENGTH, Report

DEPTH = 3
_MERMAID = (".mmd", ".mermaid", ".md")
_DRAWN = 500
"""Edges from which on Mermaid refuses a flowchart, unless its ``maxEdges`` is raised."""


def show(
    engine: Engine,
    what: Sequence[str],
    *,
    up: bool = False,
    down: bool = False,
    depth: int = DEPTH,
    everything: bool = False,
    mermaid: bool = False,
    output: Path | None = None,
) -> Report:
    """Walk the lineage of one thing.

    Args:
        what: its id or the beginning of it, its number, name or file; before it may stand its kind.
        up: only what it comes from, unless ``down`` is wanted too.
        down: only what came of it, unless ``up`` is wanted too.
        depth: steps from it at most.
        everything: all of a kind beside a node, not the first few.
        mermaid: as a Mermaid flowchart.
        output: a file to write it to: as JSON (``.json``), as Mermaid (``.mmd``, in a fence ``.md``), else as a tree.

    Raises:
        MissingInputError: nothing of that name is recorded.
        UsageError: several things go by that name; ``output`` is a folder.
        ConflictError: ``output`` is a place of the workspace's own.
    """
    directions: tuple[Direction, ...] = ("up", "down") if up == down else ("up",) if up else ("down",)
    if output is not None:
        output_key(engine, "--output", output)
    with engine.database.read() as connection:
        root = meant(engine, connection, what)
        graph = ancestry(connection, root.kind, root.key, directions=directions, depth=depth, everything=everything)
    graph = _with_champions(engine, graph)
    node = graph.nodes[graph.root]
    data = graph_data(graph)
    notes = []
    if graph.deeper:
        notes.append(f"the lineage goes on: --depth {depth + 1}")
    if graph.left_out:
        notes.append("of what there is much of only the first are told: --all tells all")
    if len(graph.edges) + len(graph.left_out) >= _DRAWN and (mermaid or _is_mermaid(output)):
        notes.append(
            f"Mermaid draws fewer than {_DRAWN} edges unless its maxEdges is raised: lower --depth, or no --all"
        )
    title = f"{node.kind} {node.label}"
    if output is not None:
        key = engine.storage.key_of(output)
        engine.storage.write_bytes(key, _written(graph, data, output.suffix.lower(), mermaid=mermaid))
        summary = {"nodes": len(graph.nodes), "edges": len(graph.edges), "output": engine.shown(key)}
        return Report(title, summary, notes=tuple(notes))
    drawn = as_mermaid(graph) if mermaid else None
    return Report(
        title,
        data if drawn is None else {**data, "mermaid": drawn},
        notes=tuple(notes),
        text=tree(graph) if drawn is None else drawn,
    )


def champions(engine: Engine, keys: Mapping[str, tuple[str, str]]) -> set[str]:
    """Ids of those of these models that are in use.

    Args:
        keys: kind and storage key of the weights, by model id.
    """
    found: set[str] = set()
    for kind in KINDS:
        used = champion_key(kind)
        if not engine.storage.exists(used):
            continue
        path = engine.storage.path(used)
        # Usually the same file by two names; where it is a copy its bytes tell.
        same = {i for i, (of, key) in keys.items() if of == kind and _same(path, engine.storage.path(key))}
        if not same:
            from data_engine.media.images import sha256_of

            same = {sha256_of(path)[:ID_LENGTH]} & keys.keys()
        found |= same
    return found


def _same(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def _with_champions(engine: Engine, graph: Graph) -> Graph:
    models = {node.key: node for node in graph.nodes.values() if node.kind == "model" and "key" in node.facts}
    if not models:
        return graph
    used = champions(engine, {key: (node.facts["kind"], node.facts["key"]) for key, node in models.items()})
    marked: dict[str, Node] = {}
    for key in used:
        node = models[key]
        marked[node.id] = replace(node, label=f"{node.label}, in use", facts={**node.facts, "champion": True})
    return replace(graph, nodes={**graph.nodes, **marked})


def _is_mermaid(output: Path | None) -> bool:
    return output is not None and output.suffix.lower() in _MERMAID


def _written(graph: Graph, data: Mapping[str, Any], suffix: str, *, mermaid: bool) -> bytes:
    if mermaid or suffix in _MERMAID:
        text = as_mermaid(graph)
        text = f"```mermaid\n{text}```\n" if suffix == ".md" else text
    elif suffix == ".json":
        text = json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    else:
        text = tree(graph)
    return text.encode("utf-8", "backslashreplace")
