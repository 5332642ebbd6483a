"""What the settings of every stage share."""

from __future__ import annotations

import json

from pydantic import BaseModel, ConfigDict

from data_engine.types import content_id


class StageSettings(BaseModel):
    """Settings of one stage: frozen, unknown names refused, every field with bounds and a description.

    The command line makes its options from the fields: ``confidence_threshold`` becomes ``--confidence-threshold``
    with the field's bounds, default and description.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def fingerprint(self) -> str:
        """A content id of the settings' values, the same in every process."""
        return content_id("settings", type(self).__name__, json.dumps(self.model_dump(mode="json"), sort_keys=True))
