"""What a person or a program gets to see: the result on stdout, everything else on stderr.

Names of files come from outside and may hold control characters; they are shown escaped, so that a name can't write
over the terminal.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TextIO

from data_engine.errors import PartialFailureError

if TYPE_CHECKING:
    from data_engine.types import Report

PARTIAL = PartialFailureError.exit_code
"""Exit code of a report with failures."""


def write_report(report: Report, *, as_json: bool, quiet: bool, told: Sequence[str] = ()) -> int:
    """Write the result to stdout, remarks and failures to stderr.

    ``quiet`` leaves the failures, and the JSON where it was asked for; ``told`` are remarks that were written while
    the work went on, and are missing in the JSON only.

    Returns:
        the exit code: 8 (or the report's own) when an input failed, else 0.
    """
    if as_json:
        _write_json(replace(report, notes=(*told, *report.notes)), sys.stdout)
    elif not quiet:
        for line in map(clean, report.text.splitlines()) if report.text else as_lines(report):
            _write(sys.stdout, line)
        for name, rows in {} if report.text else report.tables.items():
            if rows:
                _write(sys.stdout, f"\n{clean(name.replace('_', ' '))}:")
                write_table(rows, sys.stdout)
        if report.rows and not report.text:
            if report.tables:
                _write(sys.stdout, "")
            write_table(report.rows, sys.stdout)
        if report.next:
            _write(sys.stdout, f"next: {clean(report.next)}")
    # What comes on the other stream belongs after it, also where both go to one place.
    sys.stdout.flush()
    if not quiet:
        for note in report.notes:
            write_note(note)
    for failure in report.failures:
        # Most reasons begin with what failed; a second time would not help to find it.
        named = failure.reason.startswith(failure.input_id)
        _write(sys.stderr, clean(f"failed: {'' if named else f'{failure.input_id}: '}{failure.reason}"))
    return (report.failure_code or PARTIAL) if report.failures else 0


def write_note(text: str) -> None:
    """A remark for people, on stderr."""
    _write(sys.stderr, clean(text))


def write_error(message: str, hint: str, code: int, *, as_json: bool, label: str = "error: ") -> None:
    """What ended the command, on stderr: ``error:`` and ``hint:`` lines, or one JSON object a program can read."""
    if as_json:
        _write(sys.stderr, json.dumps({"error": message, "hint": hint, "code": code}, ensure_ascii=False))
        return
    _write(sys.stderr, label + clean(message))
    if hint:
        _write(sys.stderr, f"hint: {clean(hint)}")


def as_data(report: Report) -> dict[str, Any]:
    """The report as one JSON object; with the rows that it holds, also where there are more."""
    return {
        "title": report.title,
        **{str(name): plain(value) for name, value in report.data.items()},
        **{name: plain(rows) for name, rows in report.tables.items()},
        "rows": plain(report.rows),
        "notes": list(report.notes),
        "failures": [{"input": failure.input_id, "reason": failure.reason} for failure in report.failures],
        "next": report.next,
    }


def _write_json(report: Report, stream: TextIO) -> None:
    """The report as one line of JSON; rows of which there may be millions are written as they are made."""
    if report.every_row is None:
        _write(stream, _json(as_data(report)))
        return
    data = as_data(replace(report, rows=()))
    del data["rows"]
    stream.write(f'{_json(data)[:-1]}, "rows": [')
    for number, row in enumerate(report.every_row()):
        stream.write((", " if number else "") + _row(row))
    _write(stream, "]}")


def _row(row: object) -> str:
    try:
        return _json(row)
    except (TypeError, ValueError):  # few hold what JSON does not know: to look for it in all takes longest
        return _json(plain(row))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def as_lines(report: Report) -> list[str]:
    """Title and scalar values, for people."""
    scalars = {name: value for name, value in report.data.items() if not isinstance(value, (Mapping, list, tuple, set))}
    return [clean(report.title), *(clean(f"{str(name).replace('_', ' ')}: {shown(v)}") for name, v in scalars.items())]


def write_table(rows: Sequence[Mapping[str, Any]], stream: TextIO) -> None:
    """A table with the union of the rows' columns; numbers stand at the right.

    On a terminal it is drawn by rich and fits its width; elsewhere it is aligned text that other programs can cut.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[clean(shown(row.get(name))) for name in columns] for row in rows]
    numeric = [all(_is_number(row.get(name)) for row in rows) for name in columns]
    heads = [clean(str(name).replace("_", " ")) for name in columns]
    if stream.isatty():
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for head, right in zip(heads, numeric, strict=True):
            table.add_column(Text(head), justify="right" if right else "left", overflow="fold")
        for line in cells:
            table.add_row(*(Text(cell) for cell in line))
        Console(file=stream, highlight=False).print(table)
        return
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    for line in [heads, *cells]:
        aligned = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ]
        _write(stream, "  ".join(aligned).rstrip())


def shown(value: object) -> str:
    """A value for people."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"
    if isinstance(value, (list, tuple, set, Mapping)):
        return json.dumps(plain(value), ensure_ascii=False)
    return str(value)


def plain(value: object) -> Any:
    """A value as JSON can hold it: NaN and infinities become null."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return [plain(item) for item in sorted(value, key=str)]
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [plain(item) for item in value]
    if isinstance(value, PurePath):
        return value.as_posix()
    return str(value)


def clean(text: str) -> str:
    """The text with control characters escaped (line breaks and tabs become a space)."""
    if text.isprintable():
        return text
    spaced = text.replace("\r\n", " ").replace("\n", " ").replace("\t", " ")
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "backslashreplace").decode("ascii")
        for letter in spaced
    )


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _write(stream: TextIO, line: str) -> None:
    stream.write(line + "\n")
