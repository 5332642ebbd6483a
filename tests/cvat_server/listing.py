"""Lists: simple filters, JSON logic, sorting and pages, as CVAT does them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

from .answers import Answer, as_json, invalid, refused
from .calls import Call

PAGE_SIZE = 10
Getter = Callable[[Any], Any]
_RESERVED = ("filter", "sort", "page", "page_size", "search", "org", "org_id")


def listed(
    call: Call,
    rows: Iterable[Any],
    fields: Mapping[str, Getter],
    view: Callable[[Any], dict[str, Any]],
    *,
    simple: Iterable[str] | None = None,
    search: Iterable[str] = (),
    newest_first: bool = True,
) -> Answer:
    """One page of the rows that the call asks for; unknown parameters are ignored, as the real server does.

    Args:
        fields: what JSON logic and ``sort`` may name, and how it is had of a row.
        simple: the names that are query parameters as well; all of them by default.
    """
    chosen = list(rows)
    for name in fields if simple is None else simple:
        value = None if name in _RESERVED else call.asked(name)
        if value is not None and value != "":
            chosen = [row for row in chosen if _equal(fields[name](row), value)]
    if (word := call.asked("search")) and search:
        chosen = [row for row in chosen if any(word.lower() in str(fields[name](row) or "").lower() for name in search)]
    if logic := call.asked("filter"):
        test = _parsed(logic, fields)
        chosen = [row for row in chosen if test(row)]
    chosen.sort(key=lambda row: row.id, reverse=newest_first)
    for term in reversed([term.strip() for term in (call.asked("sort") or "").split(",") if term.strip()]):
        name = term.lstrip("-")
        if name in fields:
            chosen = sorted(chosen, key=partial(_ordered, fields[name]), reverse=term.startswith("-"))
    return page(call, chosen, view)


def page(call: Call, rows: list[Any], view: Callable[[Any], dict[str, Any]]) -> Answer:
    """``{count, next, previous, results}`` for the page that the call asks for."""
    try:
        size = int(call.asked("page_size") or PAGE_SIZE)
    except ValueError:
        size = PAGE_SIZE
    size = size if size > 0 else PAGE_SIZE
    asked = call.asked("page") or "1"
    pages = max(1, -(-len(rows) // size))
    this = pages if asked == "last" else int(asked) if asked.isdecimal() else 0
    if not 1 <= this <= pages:
        raise refused(404, {"detail": "Invalid page."})
    return as_json(
        {
            "count": len(rows),
            "next": _url(call, this + 1) if this < pages else None,
            "previous": _url(call, this - 1) if this > 1 else None,
            "results": [view(row) for row in rows[(this - 1) * size : this * size]],
        }
    )


def _url(call: Call, number: int) -> str:
    """The first page has no number."""
    query = {key: value for key, value in call.query if key != "page" and value != ""}
    if number > 1:
        query["page"] = str(number)
    return f"{call.host}{call.path}" + (f"?{urlencode(sorted(query.items()))}" if query else "")


def _equal(have: Any, wanted: str) -> bool:
    if isinstance(have, bool):
        return str(have).lower() == wanted.lower()
    return have is not None and str(have) == wanted


def _ordered(get: Getter, row: Any) -> tuple[bool, Any]:
    value = get(row)
    return value is not None, value if value is not None else 0


def _parsed(logic: str, fields: Mapping[str, Getter]) -> Callable[[Any], bool]:
    try:
        rules = json.loads(logic)
    except ValueError as error:
        raise invalid(f"filter: can't parse filter expression: {error}") from None
    if not rules:
        raise invalid("filter shouldn't be empty")
    return _test(rules, fields)


def _test(rules: Any, fields: Mapping[str, Getter]) -> Callable[[Any], bool]:
    if not isinstance(rules, dict) or not rules:
        raise invalid(f"filter: expected a non-empty dict value, got '{rules}' of type '{type(rules).__name__}'")
    operation, args = next(iter(rules.items()))
    if operation in ("and", "or"):
        if not isinstance(args, list) or not args:
            kind = type(args).__name__
            raise invalid(
                f"filter: operation '{operation}' requires a non-empty list argument, got '{args}' of type '{kind}'"
            )
        tests = [_test(arg, fields) for arg in args]
        return lambda row: (all if operation == "and" else any)(test(row) for test in tests)
    if operation in ("!", "!!"):
        inner = _test(args, fields)
        return inner if operation == "!!" else lambda row: not inner(row)
    if operation == "var":
        get = _getter(args, fields)
        return lambda row: get(row) is not None
    if operation in _COMPARE and len(args) == 2:
        get, compare = _getter(args[0]["var"], fields), _COMPARE[operation]
        return lambda row: compare(*_alike(get(row), args[1]))
    if operation == "in" and isinstance(args[0], dict):
        get = _getter(args[0]["var"], fields)
        return lambda row: get(row) in args[1]
    if operation == "in":
        get = _getter(args[1]["var"], fields)
        return lambda row: args[0] in (get(row) or "")
    if operation == "<=" and len(args) == 3:
        get = _getter(args[1]["var"], fields)
        return lambda row: get(row) is not None and args[0] <= get(row) <= args[2]
    raise invalid(f"filter: operation '{operation}' with arguments '{args}' is not supported")


def _getter(name: str, fields: Mapping[str, Getter]) -> Getter:
    if name not in fields:
        raise invalid(f"filter: term '{name}' is not supported")
    return fields[name]


def _alike(have: Any, wanted: Any) -> tuple[Any, Any]:
    """Dates may be written as Python writes them; all are compared as text of one form."""
    if isinstance(have, str) and isinstance(wanted, str) and have[4:5] == "-" and have.endswith("Z"):
        said = wanted.replace(" ", "T").replace("+00:00", "Z")
        return have, said if "." in said else said.replace("Z", ".000000Z")
    return have, wanted


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda have, wanted: have == wanted,
    "<": lambda have, wanted: have is not None and have < wanted,
    ">": lambda have, wanted: have is not None and have > wanted,
    "<=": lambda have, wanted: have is not None and have <= wanted,
    ">=": lambda have, wanted: have is not None and have >= wanted,
}
