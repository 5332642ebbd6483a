"""Addresses of live sources, which people type with a user name and a password inside.

An address can be shown, logged and used as a camera's name without either ever getting out: its text is the one
without them.  This module imports nothing heavy: the command line reads its options with it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

from data_engine.errors import UsageError

SCHEMES = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
"""What can be recorded, with its standard port."""
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+)://")
# The parameters by which cameras tell their channels apart.  Any other may hold a key.
_CHANNEL = re.compile(r"(ch(n|an)?(nel)?(id|no)?|cam(era)?(id|no)?|(sub)?stream(id|no|type)?|subtype|profile)", re.I)
SECRET_NAME = r"[a-z]*(?:user|usr|pass|pwd|pw|token|key|auth|secret)[a-z]*(?:=|:|%3D|%3A)"
"""What recorders put before a user or password inside a path (``user=``), for patterns that ignore case."""
SECRET_VALUE = r"(?:(?!%26|%3B)[^\s&;/?_]|_(?![a-z]+(?:=|%3D)))*"
"""What follows; an underscore is part of it unless it begins another pair: ``user=ad_min_password=x_channel=1``."""
_IN_PATH = re.compile(rf"(?<![a-z]){SECRET_NAME}{SECRET_VALUE}(?:[&;_]|%26|%3B)?", re.I)
_CHANNEL_VALUE = re.compile(r"[A-Za-z0-9_.-]{1,16}")
_LONGEST_CAMERA = 80
_KEPT = "!$%&'()*+,/:;=?@[]~"
"""What has its meaning in an address, or is encoded already."""


@dataclass(frozen=True, slots=True, repr=False)
class LiveUrl:
    """The address of a live source; its text and representation hold neither user nor password.

    Args:
        url: as it was typed.

    Raises:
        UsageError: it names no host, or it cannot be told where the password ends.
    """

    url: str
    """The whole address, for connecting and for nothing else."""
    shown: str = field(init=False)
    """Scheme, host, path and channel; of the path, what holds no user or password."""
    camera: str = field(init=False)
    """Host, path and channel as one name that is safe as a folder's: ``10.0.0.5_Streaming_Channels_101``."""

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            parts, host, port = None, "", None
        # In "rtsp://admin:12/34@10.0.0.5/" the host would be "admin", and half of the password would be shown.
        if parts is None or (parts.netloc and "@" in self.url.partition("://")[2].partition(parts.netloc)[2]):
            raise UsageError(
                "an address cannot be read: its user name, password or port holds a character that has to be encoded",
                hint="write / ? # @ and : inside a password as %2F %3F %23 %40 and %3A",
            )
        if not host:
            raise UsageError(
                f"an --input address names no host: {parts.scheme}://", hint="as in rtsp://10.0.0.5/stream1"
            )
        scheme = parts.scheme.lower()
        channel = [pair for pair in parse_qsl(parts.query) if _is_channel(*pair)]
        where = f"[{host}]" if ":" in host else host
        if port is not None and port != SCHEMES[scheme]:
            where += f":{port}"
        query = "&".join(f"{name}={value}" for name, value in channel)
        path = _without_secrets(parts.path)
        object.__setattr__(self, "shown", urlunsplit((scheme, where, path, query, "")))
        object.__setattr__(self, "camera", _name(where, unquote(path), channel))

    def __str__(self) -> str:
        return self.shown

    def __repr__(self) -> str:
        return f"LiveUrl({self.shown})"

    @property
    def scheme(self) -> str:
        """``rtsp``, ``rtsps``, ``http`` or ``https``."""
        return urlsplit(self.url).scheme.lower()

    @property
    def credentials(self) -> tuple[str, str] | None:
        """User and password, decoded; None where the address holds none."""
        parts = urlsplit(self.url)
        return None if parts.username is None else (unquote(parts.username), unquote(parts.password or ""))

    @property
    def bare(self) -> str:
        """The address for connecting, with its parameters but without user and password."""
        parts = urlsplit(self.url)
        path, query = quote(parts.path or "/", safe=_KEPT), quote(parts.query, safe=_KEPT)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, query, ""))


def source_of(text: str) -> Path | LiveUrl:
    """What was typed as an input: a path, or the address of a live source.

    Raises:
        UsageError: an address of another kind, or one that cannot be read.
    """
    found = _SCHEME.match(text)
    if found is None:
        return Path(text)
    if found[1].lower() not in SCHEMES:
        raise UsageError(
            f"{found[1]}:// is not a source that can be recorded",
            hint=f"these are: {', '.join(f'{s}://' for s in SCHEMES)}",
        )
    return LiveUrl(text)


def _without_secrets(path: str) -> str:
    """The path without what says who may watch, and without what stood between that and the rest."""
    rest, found = _IN_PATH.subn("", path)
    return re.sub(r"(?:[&;_]|%26|%3B)+(?=/|$)", "", rest, flags=re.I) if found else path


def _is_channel(name: str, value: str) -> bool:
    return _CHANNEL.fullmatch(name) is not None and _CHANNEL_VALUE.fullmatch(value) is not None


def _name(where: str, path: str, channel: list[tuple[str, str]]) -> str:
    whole = "_".join((where, path, *(f"{name}-{value}" for name, value in channel)))
    name = re.sub(r"_+", "_", re.sub(r"[^\w.-]+", "_", whole)).strip("._-")
    if len(name) <= _LONGEST_CAMERA:
        return name
    return f"{name[: _LONGEST_CAMERA - 9]}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"
