"""Options made of settings: names, bounds, defaults and help come from the settings model, once.

Every option's own default is "not given", so that only what was typed overrides the environment, the workspace's
``dataengine.toml`` and the built-in values; the help shows the built-in value.
"""

from __future__ import annotations

import inspect
import re
import types
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, cast, get_args, get_origin

import typer
from pydantic import BaseModel, TypeAdapter, ValidationError

from data_engine.errors import UsageError
from data_engine.stages.base import spelling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic.fields import FieldInfo

    from data_engine.stages.base import StageSettings

_BOUNDS = (("ge", "at least {}"), ("gt", "above {}"), ("le", "at most {}"), ("lt", "below {}"))


@dataclass(frozen=True, slots=True)
class SettingOption:
    """One field of one settings section as a command-line option."""

    section: str
    field: str
    info: FieldInfo
    flag: str
    """``--confidence-threshold``."""
    parameter: inspect.Parameter
    """The keyword parameter that Typer turns into the option."""

    def parse(self, given: object, *, hint: str) -> object:
        """The value as the settings will hold it.

        Raises:
            UsageError: it is out of bounds or of another type; the option is named.
        """
        words = _words(given, self.info.annotation) if isinstance(given, list) else None
        shown = ",".join(words) if words is not None else given
        adapter: TypeAdapter[object] = TypeAdapter(cast("Any", Annotated[self.info.annotation, self.info]))
        try:
            return adapter.validate_python(given if words is None else tuple(words))
        except ValidationError as error:
            message = error.errors(include_url=False)[0]["msg"]
            message = message.removeprefix("Value error, ")
            raise UsageError(f"{self.flag} {shown}: {message[:1].lower()}{message[1:]}", hint=hint) from None


def options_of(
    sections: Mapping[str, type[StageSettings]], *, prefixed: bool = False, own: str = ""
) -> tuple[SettingOption, ...]:
    """An option for every field of the sections.

    Args:
        sections: settings class by the section's name in the settings tree.
        prefixed: put the section before the field's name (``--filter-budget``), for commands of many sections.
        own: the section that goes without all the same: the command's own.

    Raises:
        TypeError: a field's type has no form as an option.
        ValueError: two sections want the same option.
    """
    found: dict[str, SettingOption] = {}
    for section, settings in sections.items():
        for name, info in settings.model_fields.items():
            if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
                # A section of its own, for the settings file.
                continue
            option = _option(section, name, info, prefix=f"{section}-" if prefixed and section != own else "")
            if option.flag in found:
                raise ValueError(f"{option.flag} is a setting of {found[option.flag].section} and of {section}")
            found[option.flag] = option
    return tuple(found.values())


def overrides_of(
    options: Sequence[SettingOption], values: Mapping[str, Any], *, hint: str
) -> dict[str, dict[str, Any]]:
    """What was typed, by section and field; options that were not given are left out.

    Raises:
        UsageError: with this hint, at the first value that its field does not take.
    """
    overrides: dict[str, dict[str, Any]] = {}
    for option in options:
        given = values.get(option.parameter.name)
        if given is not None:
            overrides.setdefault(option.section, {})[option.field] = option.parse(given, hint=hint)
    return overrides


def _option(section: str, name: str, info: FieldInfo, *, prefix: str) -> SettingOption:
    long = prefix + name.replace("_", "-")
    kind, metavar = _kind(info.annotation)
    is_flag = kind is bool
    parameter = inspect.Parameter(
        f"{section}__{name}",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[
            kind | None,
            typer.Option(
                f"--{long}/--no-{long}" if is_flag else f"--{long}",
                help=_help(info, is_flag=is_flag, name=name),
                show_default=False,
                metavar=metavar,
                rich_help_panel=f"Settings ({section})",
            ),
        ],
    )
    return SettingOption(section, name, info, f"--{long}", parameter)


def _kind(annotation: Any) -> tuple[Any, str | None]:
    """What Typer parses for a field's type, and the metavar where Typer's own would mislead.

    Unions of other types than None are passed on as text: pydantic tells them apart.
    """
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not types.NoneType]
        if len(members) == 1:
            return _kind(members[0])
        return str, "|".join(_metavar(member) for member in members)
    origin = get_origin(annotation)
    if origin is Literal:
        if all(isinstance(choice, str) for choice in get_args(annotation)):
            return annotation, None
        return str, _metavar(annotation)
    if origin is Annotated:
        spelled = spelling(annotation)
        return _kind(get_args(annotation)[0]) if spelled is None else (str, spelled.metavar)
    if origin in (tuple, list):
        member = get_args(annotation)[0]
        return list[str], _metavar(member) if spelling(member) is not None else f"{_metavar(member)},..."
    if annotation in (bool, int, float, str, Path):
        return annotation, None
    raise TypeError(f"settings of type {annotation} have no form as an option")


def _metavar(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return "|".join(str(choice) for choice in get_args(annotation))
    if get_origin(annotation) is Annotated:
        spelled = spelling(annotation)
        return _metavar(get_args(annotation)[0]) if spelled is None else spelled.metavar
    return {str: "TEXT", int: "INTEGER", float: "FLOAT", Path: "PATH"}.get(annotation, "VALUE")


def _help(info: FieldInfo, *, is_flag: bool, name: str) -> str:
    remarks = _limits(info)
    default = info.get_default(call_default_factory=True) if not info.is_required() else None
    if is_flag:
        remarks.append(f"default: {'' if default else 'no-'}{name.replace('_', '-')}")
    elif isinstance(default, (tuple, list)):
        remarks += [f"default: {','.join(map(str, default))}"] if default else []
    elif default is not None and default != "":
        remarks.append(f"default: {default:g}" if isinstance(default, float) else f"default: {default}")
    words = " ".join((info.description or "").split()).rstrip(".")
    description = f"{words[:1].upper()}{words[1:]}." if words else ""
    return f"{description}  [{'; '.join(remarks)}]" if remarks else description


def _words(items: Sequence[str], annotation: Any) -> list[str]:
    """``["a,b", "c=[1,2]"]`` to ``["a", "b", "c=[1,2]"]``: commas inside brackets do not separate.

    Values that hold commas themselves are separated by ``;``.
    """
    separator = r",(?![^\[(]*[\])])" if spelling(get_args(annotation)[0]) is None else ";"
    words = [word.strip() for item in items for word in re.split(separator, item)]
    return [word for word in words if word]


def _limits(info: FieldInfo) -> list[str]:
    """``["0..1"]``, ``["above 0", "at most 8"]`` … from the field's bounds."""
    bounds = {
        name: f"{value:g}" if isinstance(value, float) else str(value)
        for item in info.metadata
        for name, _ in _BOUNDS
        if (value := getattr(item, name, None)) is not None
    }
    if bounds.keys() == {"ge", "le"}:
        return [f"{bounds['ge']}..{bounds['le']}"]
    return [text.format(bounds[name]) for name, text in _BOUNDS if name in bounds]
