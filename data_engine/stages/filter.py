"""Stage 2: which frames are worth a person's time.

With a model (:mod:`data_engine.stages.filter_by_model`), frames are ranked by a strategy: what the model doubts, loses
or half sees, rare classes first, or what looks like a given example.  Without one
(:mod:`data_engine.stages.filter_by_variety`), frames are chosen to differ from each other and from what is labelled.
"""

from __future__ import annotations

from data_engine.selection.explain import header_lines, reasons_csv, summary, why_counts
from data_engine.stages.filter_by_model import choose
from data_engine.stages.filter_by_variety import choose_first, used_without_model
from data_engine.stages.filter_places import VERSION, Context, costs_of, wanted_of
from data_engine.stages.filter_settings import FilterSettings

__all__ = [
    "VERSION",
    "Context",
    "FilterSettings",
    "choose",
    "choose_first",
    "costs_of",
    "header_lines",
    "reasons_csv",
    "summary",
    "used_without_model",
    "wanted_of",
    "why_counts",
]
