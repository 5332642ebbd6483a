"""The settings of the pages that ``serve`` serves."""

from __future__ import annotations

from pydantic import Field

from data_engine.stages.base import StageSettings


class ServeSettings(StageSettings):
    """Where the pages are served, and for how long people stay signed in."""

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(8470, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    names: tuple[str, ...] = Field((), description="names that browsers may call this machine by")
    session_hours: float = Field(12.0, gt=0, le=720, description="hours without a click before signing in anew")
    certificate: str | None = Field(None, description="file of the TLS certificate, in PEM")
    key: str | None = Field(None, description="file of its private key, in PEM")
