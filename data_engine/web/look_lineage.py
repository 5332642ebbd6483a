"""``/lineage``: where something comes from and what came of it, as a graph and as a list."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from data_engine.app.lineage.lineage_graph import DEEPEST, DEPTH, Ways, graph_of, search
from data_engine.formats.graph import Direction, Graph
from data_engine.web.context import Here
from data_engine.web.render import page

router = APIRouter()

_LONGEST = 400
_MOST_LISTED = 400
"""Lines of the list; of a larger graph the rest is in the drawing."""


@router.get("/lineage", response_class=HTMLResponse)
def find(here: Here, what: str = Query("", max_length=_LONGEST)) -> Response:
    """Look for something by its id, number or name."""
    found = search(here.engine, what) if what.strip() else []
    if len(found) == 1:
        return RedirectResponse(address_of(found[0].id), 303)
    return page(here, "look/lineage_find.html", what=what, found=found, address_of=address_of)


@router.get("/lineage/{what:path}", response_class=HTMLResponse)
def lineage(here: Here, what: str, ways: Ways = "both", depth: int = Query(DEPTH, ge=1, le=DEEPEST)) -> HTMLResponse:
    """The surroundings of ``<kind>:<id>``."""
    graph = graph_of(here.engine, what[:_LONGEST], ways=ways, depth=depth)
    root = graph.nodes[graph.root]
    return page(
        here,
        "look/lineage.html",
        graph=graph,
        root=root,
        facts={name: _told(value) for name, value in root.facts.items() if _is_told(value)},
        drawn=_drawn(graph),
        up=_tree(graph, "up"),
        down=_tree(graph, "down"),
        ways=ways,
        depth=depth,
        deepest=DEEPEST,
        address=address_of(graph.root),
        page_of=page_of,
    )


def address_of(node_id: str) -> str:
    """The page of a node's lineage."""
    return f"/lineage/{quote(node_id, safe=':')}"


def page_of(node_id: str) -> str:
    """The page that shows a thing itself; empty where there is none."""
    kind, _colon, key = node_id.partition(":")
    if kind == "frame":
        return f"/frames/{quote(key)}"
    if kind == "version":
        return f"/versions/{quote(key)}"
    return f"/frames?camera={quote(key)}" if kind == "camera" else ""


def _is_told(value: Any) -> bool:
    return value not in (None, "", [], (), {}) and not isinstance(value, (dict, list))


def _told(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _drawn(graph: Graph) -> dict[str, Any]:
    """What the drawing needs, as plain JSON values."""
    return {
        "root": graph.root,
        "nodes": [
            {"id": node.id, "kind": node.kind, "label": node.label, "link": _link(graph, node.id)}
            for node in graph.nodes.values()
        ],
        "edges": [{"source": e.source, "target": e.target, "relation": e.relation} for e in graph.edges],
    }


def _link(graph: Graph, node_id: str) -> str:
    # Of the root its own page; "versions" stands for several things and has none.
    if node_id == graph.root:
        return page_of(node_id)
    return "" if node_id.startswith("versions:") else address_of(node_id)


def _tree(graph: Graph, way: Direction) -> list[dict[str, Any]]:
    """The graph as a nested list: every node once, where it is nearest to the root."""
    beside: dict[str, list[tuple[str, str]]] = {}
    for edge in graph.up if way == "up" else graph.down:
        near, far = (edge.target, edge.source) if way == "up" else (edge.source, edge.target)
        beside.setdefault(near, []).append((far, edge.relation))
    rests: dict[str, list[str]] = {}
    for rest in graph.left_out:
        if rest.direction == way:
            rests.setdefault(rest.node, []).append(f"and {rest.total - rest.shown} more: {rest.kind}, {rest.relation}")
    told, lines = {graph.root}, 0
    top: list[dict[str, Any]] = []
    level = [(graph.root, top)]
    while level:
        below = []
        for node_id, items in level:
            for far, relation in beside.get(node_id, ()):
                if far in told or lines >= _MOST_LISTED:
                    continue
                told.add(far)
                lines += 1
                node = graph.nodes[far]
                item: dict[str, Any] = {
                    "kind": node.kind,
                    "label": node.label,
                    "relation": relation,
                    "link": _link(graph, far),
                    "items": [],
                    "rest": rests.get(far, []),
                }
                items.append(item)
                below.append((far, item["items"]))
        level = below
    if graph.root in rests:
        top.append({"kind": "", "label": "", "relation": "", "link": "", "items": [], "rest": rests[graph.root]})
    return top
