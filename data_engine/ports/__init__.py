"""What the rooms of the house may ask of one another.

Each Protocol's docstring is its contract; ``tests/contract`` holds one suite a port, run over every implementation.
Labels meet by name on every border, and the caller checks what came back.
"""

from typing import TYPE_CHECKING

from data_engine.ports.annotation import AnnotationBackend as AnnotationBackend
from data_engine.ports.annotation import DraftKeeper as DraftKeeper
from data_engine.ports.annotation import Ledger as Ledger
from data_engine.ports.annotation_server import QualitySource as QualitySource
from data_engine.ports.annotation_server import Team as Team
from data_engine.ports.annotation_server import WebhookSource as WebhookSource
from data_engine.ports.annotation_server import frames_of as frames_of
from data_engine.ports.models import Detector as Detector
from data_engine.ports.models import Embedder as Embedder
from data_engine.ports.models import Prepared as Prepared
from data_engine.ports.models import Trainer as Trainer
from data_engine.ports.storage import Storage as Storage
from data_engine.ports.work import Executor as Executor
from data_engine.ports.work import Progress as Progress

if TYPE_CHECKING:
    from data_engine.ports.models import UInt8Array as UInt8Array
