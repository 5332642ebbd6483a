"""Failures on demand: what is to go wrong, with which requests, and how often."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

KINDS = ("latency", "429", "500", "502", "504", "reset", "stuck", "expired", "hang", "page")
"""``stuck``: the background request that this call starts is never picked up by a worker.  ``expired``: what the call
asks for (a background request or its result) is gone: 404.  ``hang``: no answer until the client goes away.
``page``: 200 and a web page, of a network that wants a login first."""
MIXTURE: tuple[tuple[str, bool], ...] = (
    ("latency", False),
    ("429", False),
    *((kind, after) for kind in ("500", "502", "504", "reset") for after in (False, True)),
    ("stuck", False),
    ("expired", False),
)
"""Every kind but ``hang`` and ``page``; those that may strike before or after the request took effect once each way."""


@dataclass(slots=True)
class Rule:
    """One thing that goes wrong.

    Attributes:
        kind: one of :data:`KINDS`.
        after: the request takes effect first; only its answer is lost.
        path: a regular expression that is searched in the path.
        method: HTTP methods, as a regular expression.
        next: with how many requests from now; None is with all.
        skip: how many matching requests pass first.
        probability: of each matching request.
        seconds: of latency, or of ``Retry-After``.
    """

    kind: str
    after: bool = False
    path: str = ""
    method: str = ""
    next: int | None = None
    skip: int = 0
    probability: float = 1.0
    seconds: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is none of {', '.join(KINDS)}")


class Faults:
    """The rules in force, and the dice.

    Args:
        seed: of every drawing, so that a run can be repeated as far as the order of requests can.
    """

    def __init__(self, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self.reset(seed)

    def reset(self, seed: int | None = None) -> None:
        """All goes well again."""
        with self._lock:
            if seed is not None:
                self._dice = random.Random(seed)
            self._rules: list[Rule] = []
            self._share = 0.0
            self._kinds: Sequence[tuple[str, bool]] = MIXTURE
            self._mixed = Rule("latency")
            self.struck: dict[str, int] = {}
            self.hanging = 0
            """Requests that hang, or hung: counted once what they ask for has its effect, where it has one."""

    def add(self, kind: str, **how: Any) -> Rule:
        """One more rule; the first that matches strikes."""
        rule = Rule(kind, **how)
        with self._lock:
            self._rules.append(rule)
        return rule

    def mix(
        self,
        share: float,
        *,
        kinds: Sequence[tuple[str, bool]] = MIXTURE,
        path: str = "",
        method: str = "",
        seconds: float = 0.05,
    ) -> None:
        """Let a share of all requests fail, each in a way that is drawn from ``kinds``."""
        with self._lock:
            self._share, self._kinds = share, [(kind, bool(after)) for kind, after in kinds]
            self._mixed = Rule("latency", path=path, method=method, seconds=seconds)

    def strike(self, method: str, path: str) -> Rule | None:
        """What goes wrong with this request, if anything."""
        with self._lock:
            for rule in self._rules:
                if not _matches(rule, method, path) or rule.next == 0:
                    continue
                if rule.skip:
                    rule.skip -= 1
                    continue
                if rule.probability < 1 and self._dice.random() >= rule.probability:
                    continue
                if rule.next is not None:
                    rule.next -= 1
                return self._count(rule)
            if self._share and _matches(self._mixed, method, path) and self._dice.random() < self._share:
                kinds = [row for row in self._kinds if _possible(row[0], method, path)]
                if kinds:
                    kind, after = self._dice.choice(kinds)
                    return self._count(Rule(kind, after, seconds=self._mixed.seconds))
        return None

    def _count(self, rule: Rule) -> Rule:
        name = rule.kind + ("-after" if rule.after else "")
        self.struck[name] = self.struck.get(name, 0) + 1
        return rule

    def steer(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """An order that came over HTTP: any of ``{"reset": seed, "add": [{...}], "mix": {...}}``."""
        if "reset" in order:
            self.reset(order["reset"])
        for rule in order.get("add", ()):
            self.add(**rule)
        if "mix" in order:
            self.mix(**order["mix"])
        return self.told()

    def hangs(self) -> None:
        """A request waits for its client to go away."""
        with self._lock:
            self.hanging += 1

    def told(self) -> dict[str, Any]:
        with self._lock:
            rules = [asdict(rule) for rule in self._rules]
            return {"rules": rules, "share": self._share, "struck": dict(self.struck), "hanging": self.hanging}


def _matches(rule: Rule, method: str, path: str) -> bool:
    return re.search(rule.path, path) is not None and (not rule.method or re.fullmatch(rule.method, method) is not None)


def _possible(kind: str, method: str, path: str) -> bool:
    """A mixture draws only what can befall the request: what is stuck was started, what has expired was asked for."""
    if kind == "stuck":
        return method == "POST"
    if kind == "expired":
        return method == "GET" and ("/api/requests/" in path or path.endswith("/download"))
    return True
