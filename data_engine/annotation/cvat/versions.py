"""The releases that this adapter was tried with; with others it says so and goes on."""

from __future__ import annotations

TRIED_SERVERS = ("2.73",)
"""Releases of the server, as major and minor number."""
TRIED_SDKS = ("2.73", "2.80")
"""Releases of ``cvat-sdk``."""


def remark(server: str, sdk: str) -> str | None:
    """What to tell people about the releases in use; None where both were tried."""
    strange = []
    if _minor(server) not in TRIED_SERVERS:
        strange.append(f"CVAT {server} (tried: {', '.join(TRIED_SERVERS)})")
    if _minor(sdk) not in TRIED_SDKS:
        strange.append(f"cvat-sdk {sdk} (tried: {', '.join(TRIED_SDKS)})")
    return f"dataengine was not tried with {' and '.join(strange)}: look twice at what it does" if strange else None


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
