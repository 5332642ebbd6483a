"""The schema, the same on SQLite and PostgreSQL.

Ids come from content, so every insert can be repeated.  Files are storage keys, never absolute paths.
"""

from __future__ import annotations

import sqlalchemy as sa

from data_engine.lineage.tables_base import identity as _id
from data_engine.lineage.tables_base import metadata as metadata
from data_engine.lineage.tables_base import reference as _ref
from data_engine.lineage.tables_evaluations import evaluations as evaluations
from data_engine.lineage.tables_promotions import promotions as promotions
from data_engine.lineage.tables_reviewing import review_looks as review_looks
from data_engine.lineage.tables_reviewing import review_marks as review_marks
from data_engine.lineage.tables_reviewing import review_remarks as review_remarks
from data_engine.lineage.tables_rounds import rounds as rounds

categories = sa.Table(
    "categories",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("supercategory", sa.Text, nullable=False),
)

category_names = sa.Table(
    "category_names",
    metadata,
    sa.Column("category_id", sa.Integer, sa.ForeignKey("categories.id"), primary_key=True, autoincrement=False),
    sa.Column("since", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("until", sa.Integer),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("supercategory", sa.Text, nullable=False),
    sa.Column("offered", sa.Boolean, nullable=False),
    comment="A class is listed under this name in every version v with since <= v and (until is null or v < until).",
)

category_changes = sa.Table(
    "category_changes",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("category_id", sa.Integer, sa.ForeignKey("categories.id"), nullable=False),
    sa.Column("into_id", sa.Integer, sa.ForeignKey("categories.id")),
    sa.Column("old_name", sa.Text),
    sa.Column("new_name", sa.Text),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("boxes", sa.Integer),
    sa.Column("actor", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("at", sa.Text),
    sa.CheckConstraint("kind in ('added', 'renamed', 'merged', 'split', 'retired', 'restored')", name="kind"),
    comment="What was done to a class, from which version on; never changed, never removed.",
)

runs = sa.Table(
    "runs",
    metadata,
    _id(),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.String(32), nullable=False),
    sa.Column("settings", sa.JSON, nullable=False),
    sa.Column("code_version", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("started_at", sa.Text, nullable=False),
    sa.Column("finished_at", sa.Text),
)

work = sa.Table(
    "work",
    metadata,
    sa.Column("fingerprint", sa.String(32), primary_key=True),
    sa.Column("input_id", sa.Text, primary_key=True),
    _ref("run_id", "runs.id"),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("detail", sa.Text),
    sa.CheckConstraint("state in ('done', 'failed')", name="state"),
)

videos = sa.Table(
    "videos",
    metadata,
    _id(),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("camera", sa.Text, nullable=False, index=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("codec", sa.Text, nullable=False),
    sa.Column("frame_rate", sa.Text),
    sa.Column("duration_s", sa.Double),
    sa.Column("pixel_format", sa.Text),
    sa.Column("variable_rate", sa.Boolean),
    sa.Column("audio", sa.Boolean),
    sa.Column("rotation", sa.Integer),
    sa.Column("interlaced", sa.Boolean),
    sa.Column("captured_at", sa.Text),
    sa.Column("venue", sa.Text),
    sa.Column("event", sa.Text),
    sa.Column("crop", sa.Text),
)

video_signatures = sa.Table(
    "video_signatures",
    metadata,
    _ref("video_id", "videos.id", primary=True),
    sa.Column("method", sa.Text, primary_key=True),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    comment="What a video is compared by: hashes or vectors of sampled frames, by method and its parameters.",
)

video_duplicates = sa.Table(
    "video_duplicates",
    metadata,
    _ref("video_id", "videos.id", primary=True),
    sa.Column("method", sa.Text, primary_key=True),
    _ref("original_id", "videos.id"),
    sa.Column("distance", sa.Double, nullable=False),
    comment="Videos that look like another one; a remark, never a reason to delete. Copies by content are in files.",
)

frames = sa.Table(
    "frames",
    metadata,
    _id(),
    sa.Column("name", sa.Text, nullable=False, index=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("camera", sa.Text, nullable=False, index=True),
    _ref("video_id", "videos.id", nullable=True),
    sa.Column("pts", sa.BigInteger),
    sa.Column("time_base", sa.Text),
    sa.Column("dhash", sa.BigInteger),
    sa.Column("crop", sa.Text),
)

files = sa.Table(
    "files",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("stamp", sa.Text, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False, index=True),
    _ref("frame_id", "frames.id", nullable=True),
    _ref("video_id", "videos.id", nullable=True),
)

sampled = sa.Table(
    "sampled",
    metadata,
    sa.Column("fingerprint", sa.String(32), primary_key=True),
    _ref("frame_id", "frames.id", primary=True, index=True),
    _ref("video_id", "videos.id"),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("similarity", sa.Double),
    sa.Column("weight", sa.Double),
    sa.Column("reason", sa.Text),
)

models = sa.Table(
    "models",
    metadata,
    _id(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("weights_key", sa.Text),
    sa.Column("class_names", sa.JSON, nullable=False),
    _ref("dataset_version_id", "dataset_versions.id", nullable=True),
    _ref("parent_id", "models.id", nullable=True),
    _ref("run_id", "runs.id", nullable=True),
    sa.Column("metrics", sa.JSON, nullable=False),
    sa.Column("registered_at", sa.Text, nullable=False),
    sa.Column("thinned_at", sa.Text),
)

predictions = sa.Table(
    "predictions",
    metadata,
    _ref("model_id", "models.id", primary=True),
    _ref("frame_id", "frames.id", primary=True, index=True),
    sa.Column("part_key", sa.Text, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
)

canaries = sa.Table(
    "canaries",
    metadata,
    _ref("model_id", "models.id", primary=True),
    sa.Column("environment", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("checked_at", sa.Text, nullable=False),
    sa.CheckConstraint("verdict in ('agrees', 'unclear')", name="verdict"),
    comment="What a model said of known pictures under each set of library versions, and whether its classes are ours.",
)

embeddings = sa.Table(
    "embeddings",
    metadata,
    sa.Column("embedder", sa.Text, primary_key=True),
    _ref("frame_id", "frames.id", primary=True),
    sa.Column("part_key", sa.Text, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
)

selections = sa.Table(
    "selections",
    metadata,
    _id(),
    sa.Column("number", sa.Integer, nullable=False, unique=True),
    _ref("run_id", "runs.id"),
    _ref("model_id", "models.id", nullable=True),
    sa.Column("pool_size", sa.Integer, nullable=False),
)

selection_frames = sa.Table(
    "selection_frames",
    metadata,
    _ref("selection_id", "selections.id", primary=True),
    _ref("frame_id", "frames.id", primary=True, index=True),
    sa.Column("rank", sa.Integer, nullable=False),
    sa.Column("score", sa.Double, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("parts", sa.JSON, nullable=False),
    sa.Index("ix_selection_frames_rank", "selection_id", "rank"),
)

IMPORT = "import:"
"""How the backend of a dataset from elsewhere begins, before its name: such tasks and jobs are on no server."""

tasks = sa.Table(
    "tasks",
    metadata,
    _id(),
    sa.Column("backend", sa.Text, nullable=False),
    sa.Column("number", sa.Integer),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("plan", sa.JSON, nullable=False),
    _ref("run_id", "runs.id"),
    sa.Column("frames_at", sa.Text),
    sa.UniqueConstraint("backend", "number"),
    comment="Planned as a whole before anything is created; number is the backend's, null until it exists there.",
)

task_steps = sa.Table(
    "task_steps",
    metadata,
    sa.Column("backend", sa.Text, primary_key=True),
    sa.Column("task_id", sa.String(32), primary_key=True),
    sa.Column("step", sa.Text, primary_key=True),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    comment="What was done of the creation of a task on a server; written as each step ends, before the next begins.",
)

task_frames = sa.Table(
    "task_frames",
    metadata,
    _ref("task_id", "tasks.id", primary=True),
    _ref("frame_id", "frames.id", primary=True, index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.UniqueConstraint("task_id", "name"),
)

proposals = sa.Table(
    "proposals",
    metadata,
    _id(),
    _ref("task_id", "tasks.id", primary=True),
    _ref("frame_id", "frames.id"),
    _ref("model_id", "models.id", nullable=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("x", sa.Double, nullable=False),
    sa.Column("y", sa.Double, nullable=False),
    sa.Column("w", sa.Double, nullable=False),
    sa.Column("h", sa.Double, nullable=False),
    sa.Column("score", sa.Double),
    sa.Column("iscrowd", sa.Boolean, nullable=False),
    sa.Column("attributes", sa.JSON, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    # Whether a task shows anything of a model is asked of all tasks at once.
    sa.Index("ix_proposals_task_id", "task_id", "model_id"),
)

probes = sa.Table(
    "probes",
    metadata,
    _id(),
    _ref("task_id", "tasks.id"),
    _ref("frame_id", "frames.id"),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("x", sa.Double, nullable=False),
    sa.Column("y", sa.Double, nullable=False),
    sa.Column("w", sa.Double, nullable=False),
    sa.Column("h", sa.Double, nullable=False),
    sa.Column("replaces", sa.String(32)),
    sa.CheckConstraint("kind in ('invented', 'shifted', 'swapped')", name="kind"),
    comment="Boxes that are known to be wrong, shown among the proposals to see whether people look.",
)

jobs = sa.Table(
    "jobs",
    metadata,
    _id(),
    sa.Column("backend", sa.Text, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    _ref("task_id", "tasks.id"),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("assignee", sa.Text),
    sa.Column("annotator", sa.Text),
    sa.Column("reviewer", sa.Text),
    sa.Column("updated_at", sa.Text, nullable=False),
    sa.Column("merged_at", sa.Text),
    sa.UniqueConstraint("backend", "number"),
    # The lists of the pages: what waits for whom.
    sa.Index("ix_jobs_stage", "backend", "stage", "assignee", "number"),
)

job_changes = sa.Table(
    "job_changes",
    metadata,
    _id(),
    _ref("job_id", "jobs.id"),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("assignee", sa.Text),
    sa.Column("at", sa.Text, nullable=False),
    comment="When a job was seen to change its stage, state or assignee: from this the minutes of work are learned.",
)

acceptances = sa.Table(
    "acceptances",
    metadata,
    _id(),
    _ref("job_id", "jobs.id"),
    sa.Column("submitted_at", sa.Text),
    sa.Column("accepted_at", sa.Text, nullable=False),
    sa.Column("accepted_by", sa.Text),
    sa.Column("content", sa.String(32), nullable=False),
    sa.Column("deleted", sa.JSON, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    comment="An accepted job, what it held, and its last date with that: "
    "a later date with other boxes is an edit nobody accepted.",
)

acceptance_intents = sa.Table(
    "acceptance_intents",
    metadata,
    _id(),
    _ref("job_id", "jobs.id"),
    sa.Column("content", sa.String(32), nullable=False),
    sa.Column("deleted", sa.JSON, nullable=False),
    sa.Column("actor", sa.Text),
    sa.Column("decided_at", sa.Text, nullable=False),
    sa.Column("seen_at", sa.Text, nullable=False),
    comment="What is about to be accepted, until it is known whether it was.",
)

requeued = sa.Table(
    "requeued",
    metadata,
    _ref("task_id", "tasks.id", primary=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    _ref("frame_id", "frames.id"),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("x", sa.Double),
    sa.Column("y", sa.Double),
    sa.Column("w", sa.Double),
    sa.Column("h", sa.Double),
    sa.Column("told", sa.Boolean, nullable=False),
    comment="Why a frame of the dataset was put into a task again, and whether those who have the job were told.",
)

job_frames = sa.Table(
    "job_frames",
    metadata,
    _ref("job_id", "jobs.id", primary=True),
    _ref("frame_id", "frames.id", primary=True, index=True),
)

reviews = sa.Table(
    "reviews",
    metadata,
    _id(),
    _ref("job_id", "jobs.id"),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("actor", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("at", sa.Text, nullable=False),
    sa.CheckConstraint("action in ('submitted', 'accepted', 'rejected')", name="action"),
)

accepted = sa.Table(
    "annotations",
    metadata,
    _id(),
    _ref("frame_id", "frames.id", index=False),
    sa.Column("category_id", sa.Integer, sa.ForeignKey("categories.id"), nullable=False),
    sa.Column("x", sa.Double, nullable=False),
    sa.Column("y", sa.Double, nullable=False),
    sa.Column("w", sa.Double, nullable=False),
    sa.Column("h", sa.Double, nullable=False),
    sa.Column("iscrowd", sa.Boolean, nullable=False),
    _ref("job_id", "jobs.id"),
    sa.Column("proposal_id", sa.String(32)),
    _ref("model_id", "models.id", nullable=True),
    sa.Column("change", sa.Text, nullable=False),
    sa.Column("annotator", sa.Text),
    sa.Column("reviewer", sa.Text),
    _ref("acceptance_id", "acceptances.id", nullable=True),
    sa.Column("since", sa.Integer, primary_key=True),
    sa.Column("until", sa.Integer),
    # By it alone is known which classes the frames of a version hold.
    sa.Index("ix_annotations_frame_id", "frame_id", "category_id", "since", "until"),
    sa.CheckConstraint("change in ('kept', 'edited', 'added')", name="change"),
    comment="An accepted box is in every version v with since <= v and (until is null or v < until).",
)

dataset_versions = sa.Table(
    "dataset_versions",
    metadata,
    _id(),
    sa.Column("number", sa.Integer, nullable=False, unique=True),
    _ref("parent_id", "dataset_versions.id", nullable=True),
    _ref("run_id", "runs.id"),
    sa.Column("frames", sa.Integer, nullable=False),
    sa.Column("boxes", sa.Integer, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
)

dataset_frames = sa.Table(
    "dataset_frames",
    metadata,
    _ref("frame_id", "frames.id", primary=True),
    sa.Column("since", sa.Integer, primary_key=True),
    sa.Column("until", sa.Integer),
    _ref("job_id", "jobs.id"),
    sa.Column("content", sa.String(32), nullable=False),
    sa.Column("split", sa.Text, nullable=False),
    sa.CheckConstraint("split in ('train', 'valid', 'guard', 'golden')", name="split"),
    comment="A frame is in every version v with since <= v and (until is null or v < until).",
)

split_plans = sa.Table(
    "split_plans",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("block", sa.Double, nullable=False),
    sa.Column("guard", sa.Double, nullable=False),
    sa.Column("fraction", sa.Double, nullable=False),
    sa.Column("phase", sa.Double, nullable=False),
    sa.Column("shares", sa.Text),
    sa.Column("shift", sa.Double, nullable=False, server_default=sa.text("0")),
    comment="How a source is cut into the sides of the split, decided once and kept.",
)

golden_blocks = sa.Table(
    "golden_blocks",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("block", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("version", sa.Integer, nullable=False),
    comment="Blocks of sources that models are judged on, for ever, since that version of the dataset.",
)

withdrawals = sa.Table(
    "withdrawals",
    metadata,
    _ref("job_id", "jobs.id", primary=True),
    _ref("frame_id", "frames.id", primary=True, index=True),
    sa.Column("acceptance_id", sa.String(32)),
    sa.Column("job_date", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    comment="What a revert took back of a job: it gives this frame again when it was accepted anew, not before.",
)

tombstones = sa.Table(
    "tombstones",
    metadata,
    _id(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("actor", sa.Text),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
    sa.CheckConstraint("kind in ('camera', 'video', 'frame')", name="kind"),
    sa.CheckConstraint("state in ('begun', 'done')", name="state"),
    comment="What stands in the place of a source that was purged: which, why, by whom, and what held it.",
)

purged = sa.Table(
    "purged",
    metadata,
    _id(),
    sa.Column("kind", sa.Text, nullable=False),
    _ref("tombstone_id", "tombstones.id"),
    sa.CheckConstraint("kind in ('frame', 'video', 'picture')", name="kind"),
    comment="Ids of frames and videos that were purged, and the beginnings of their pictures' SHA-256 sums: "
    "none may come back.",
)

merge_conflicts = sa.Table(
    "merge_conflicts",
    metadata,
    _id(),
    _ref("frame_id", "frames.id"),
    sa.Column("version", sa.Integer, nullable=False),
    _ref("job_id", "jobs.id"),
    _ref("other_job_id", "jobs.id"),
    sa.Column("kinds", sa.JSON, nullable=False),
    sa.Column("policy", sa.Text, nullable=False),
    sa.Column("kept", sa.Text, nullable=False),
    sa.Column("theirs", sa.JSON, nullable=False),
    sa.Column("ours", sa.JSON, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.CheckConstraint("policy in ('newest', 'ask', 'both')", name="policy"),
    sa.CheckConstraint("kept in ('theirs', 'ours')", name="kept"),
    comment="Frames of which two accepted jobs said something else: the boxes of both sides, and whose were kept.",
)
