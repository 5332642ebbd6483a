"""The schema, the same on SQLite and PostgreSQL.

Ids come from content, so every insert can be repeated.  Files are storage keys, never absolute paths.
"""

from data_engine.lineage.tables.base import metadata as metadata
from data_engine.lineage.tables.classes import categories as categories
from data_engine.lineage.tables.classes import category_changes as category_changes
from data_engine.lineage.tables.classes import category_names as category_names
from data_engine.lineage.tables.datasets import accepted as accepted
from data_engine.lineage.tables.datasets import dataset_frames as dataset_frames
from data_engine.lineage.tables.datasets import dataset_versions as dataset_versions
from data_engine.lineage.tables.datasets import golden_blocks as golden_blocks
from data_engine.lineage.tables.datasets import merge_conflicts as merge_conflicts
from data_engine.lineage.tables.datasets import split_plans as split_plans
from data_engine.lineage.tables.datasets import withdrawals as withdrawals
from data_engine.lineage.tables.evaluations import evaluations as evaluations
from data_engine.lineage.tables.footage import files as files
from data_engine.lineage.tables.footage import frames as frames
from data_engine.lineage.tables.footage import sampled as sampled
from data_engine.lineage.tables.footage import video_duplicates as video_duplicates
from data_engine.lineage.tables.footage import video_signatures as video_signatures
from data_engine.lineage.tables.footage import videos as videos
from data_engine.lineage.tables.labelling import IMPORT as IMPORT
from data_engine.lineage.tables.labelling import acceptance_intents as acceptance_intents
from data_engine.lineage.tables.labelling import acceptances as acceptances
from data_engine.lineage.tables.labelling import job_changes as job_changes
from data_engine.lineage.tables.labelling import job_frames as job_frames
from data_engine.lineage.tables.labelling import jobs as jobs
from data_engine.lineage.tables.labelling import probes as probes
from data_engine.lineage.tables.labelling import proposals as proposals
from data_engine.lineage.tables.labelling import requeued as requeued
from data_engine.lineage.tables.labelling import reviews as reviews
from data_engine.lineage.tables.labelling import task_frames as task_frames
from data_engine.lineage.tables.labelling import task_steps as task_steps
from data_engine.lineage.tables.labelling import tasks as tasks
from data_engine.lineage.tables.models import canaries as canaries
from data_engine.lineage.tables.models import embeddings as embeddings
from data_engine.lineage.tables.models import models as models
from data_engine.lineage.tables.models import predictions as predictions
from data_engine.lineage.tables.promotions import promotions as promotions
from data_engine.lineage.tables.purges import purged as purged
from data_engine.lineage.tables.purges import tombstones as tombstones
from data_engine.lineage.tables.reviewing import review_looks as review_looks
from data_engine.lineage.tables.reviewing import review_marks as review_marks
from data_engine.lineage.tables.reviewing import review_remarks as review_remarks
from data_engine.lineage.tables.rounds import rounds as rounds
from data_engine.lineage.tables.selections import selection_frames as selection_frames
from data_engine.lineage.tables.selections import selections as selections
from data_engine.lineage.tables.work import runs as runs
from data_engine.lineage.tables.work import work as work
