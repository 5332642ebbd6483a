"""the first schema"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "categories",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("supercategory", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_categories")),
        sa.UniqueConstraint("name", name=op.f("uq_categories_name")),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.Text(), nullable=False),
        sa.Column("finished_at", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    op.create_table(
        "split_plans",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("block", sa.Double(), nullable=False),
        sa.Column("guard", sa.Double(), nullable=False),
        sa.Column("fraction", sa.Double(), nullable=False),
        sa.Column("phase", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_split_plans")),
        comment="How a source is cut into the sides of the split, decided once and kept.",
    )
    op.create_table(
        "videos",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("camera", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("codec", sa.Text(), nullable=False),
        sa.Column("frame_rate", sa.Text(), nullable=True),
        sa.Column("duration_s", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_videos")),
    )
    with op.batch_alter_table("videos", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_videos_camera"), ["camera"], unique=False)

    op.create_table(
        "dataset_versions",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("parent_id", sa.String(length=32), nullable=True),
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("boxes", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["dataset_versions.id"], name=op.f("fk_dataset_versions_parent_id_dataset_versions")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_dataset_versions_run_id_runs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset_versions")),
        sa.UniqueConstraint("number", name=op.f("uq_dataset_versions_number")),
    )
    with op.batch_alter_table("dataset_versions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_dataset_versions_parent_id"), ["parent_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_dataset_versions_run_id"), ["run_id"], unique=False)

    op.create_table(
        "frames",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("camera", sa.Text(), nullable=False),
        sa.Column("video_id", sa.String(length=32), nullable=True),
        sa.Column("pts", sa.BigInteger(), nullable=True),
        sa.Column("time_base", sa.Text(), nullable=True),
        sa.Column("dhash", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["video_id"], ["videos.id"], name=op.f("fk_frames_video_id_videos")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_frames")),
    )
    with op.batch_alter_table("frames", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_frames_camera"), ["camera"], unique=False)
        batch_op.create_index(batch_op.f("ix_frames_video_id"), ["video_id"], unique=False)

    op.create_table(
        "tasks",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("backend", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_tasks_run_id_runs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
        sa.UniqueConstraint("backend", "number", name=op.f("uq_tasks_backend_number")),
        comment="Planned as a whole before anything is created; number is the backend's, null until it exists there.",
    )
    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_tasks_run_id"), ["run_id"], unique=False)

    op.create_table(
        "work",
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("input_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.CheckConstraint("state in ('done', 'failed')", name=op.f("ck_work_state")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_work_run_id_runs")),
        sa.PrimaryKeyConstraint("fingerprint", "input_id", name=op.f("pk_work")),
    )
    with op.batch_alter_table("work", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_work_run_id"), ["run_id"], unique=False)

    op.create_table(
        "files",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("stamp", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("frame_id", sa.String(length=32), nullable=True),
        sa.Column("video_id", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_files_frame_id_frames")),
        sa.ForeignKeyConstraint(["video_id"], ["videos.id"], name=op.f("fk_files_video_id_videos")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_files")),
    )
    with op.batch_alter_table("files", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_files_frame_id"), ["frame_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_files_sha256"), ["sha256"], unique=False)
        batch_op.create_index(batch_op.f("ix_files_video_id"), ["video_id"], unique=False)

    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("backend", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.String(length=32), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("assignee", sa.Text(), nullable=True),
        sa.Column("annotator", sa.Text(), nullable=True),
        sa.Column("reviewer", sa.Text(), nullable=True),
        sa.Column("updated_at", sa.Text(), nullable=False),
        sa.Column("merged_at", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_jobs_task_id_tasks")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("backend", "number", name=op.f("uq_jobs_backend_number")),
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_task_id"), ["task_id"], unique=False)

    op.create_table(
        "models",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("weights_key", sa.Text(), nullable=True),
        sa.Column("class_names", sa.JSON(), nullable=False),
        sa.Column("dataset_version_id", sa.String(length=32), nullable=True),
        sa.Column("parent_id", sa.String(length=32), nullable=True),
        sa.Column("run_id", sa.String(length=32), nullable=True),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("registered_at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_version_id"], ["dataset_versions.id"], name=op.f("fk_models_dataset_version_id_dataset_versions")
        ),
        sa.ForeignKeyConstraint(["parent_id"], ["models.id"], name=op.f("fk_models_parent_id_models")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_models_run_id_runs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
    )
    with op.batch_alter_table("models", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_models_dataset_version_id"), ["dataset_version_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_models_parent_id"), ["parent_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_models_run_id"), ["run_id"], unique=False)

    op.create_table(
        "sampled",
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("frame_id", sa.String(length=32), nullable=False),
        sa.Column("video_id", sa.String(length=32), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("similarity", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_sampled_frame_id_frames")),
        sa.ForeignKeyConstraint(["video_id"], ["videos.id"], name=op.f("fk_sampled_video_id_videos")),
        sa.PrimaryKeyConstraint("fingerprint", "frame_id", name=op.f("pk_sampled")),
    )
    with op.batch_alter_table("sampled", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sampled_video_id"), ["video_id"], unique=False)

    op.create_table(
        "task_frames",
        sa.Column("task_id", sa.String(length=32), nullable=False),
        sa.Column("frame_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_task_frames_frame_id_frames")),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_task_frames_task_id_tasks")),
        sa.PrimaryKeyConstraint("task_id", "frame_id", name=op.f("pk_task_frames")),
        sa.UniqueConstraint("task_id", "name", name=op.f("uq_task_frames_task_id_name")),
    )
    op.create_table(
        "annotations",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("frame_id", sa.String(length=32), nullable=False),
        sa.Column("category_id", sa.Integer(), nullable=False),
        sa.Column("x", sa.Double(), nullable=False),
        sa.Column("y", sa.Double(), nullable=False),
        sa.Column("w", sa.Double(), nullable=False),
        sa.Column("h", sa.Double(), nullable=False),
        sa.Column("iscrowd", sa.Boolean(), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("proposal_id", sa.String(length=32), nullable=True),
        sa.Column("model_id", sa.String(length=32), nullable=True),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("annotator", sa.Text(), nullable=True),
        sa.Column("reviewer", sa.Text(), nullable=True),
        sa.Column("since", sa.Integer(), nullable=False),
        sa.Column("until", sa.Integer(), nullable=True),
        sa.CheckConstraint("change in ('kept', 'edited', 'added')", name=op.f("ck_annotations_change")),
        sa.ForeignKeyConstraint(["category_id"], ["categories.id"], name=op.f("fk_annotations_category_id_categories")),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_annotations_frame_id_frames")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_annotations_job_id_jobs")),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_annotations_model_id_models")),
        sa.PrimaryKeyConstraint("id", "since", name=op.f("pk_annotations")),
        comment="An accepted box is in every version v with since <= v and (until is null or v < until).",
    )
    with op.batch_alter_table("annotations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_annotations_frame_id"), ["frame_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_annotations_job_id"), ["job_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_annotations_model_id"), ["model_id"], unique=False)

    op.create_table(
        "dataset_frames",
        sa.Column("frame_id", sa.String(length=32), nullable=False),
        sa.Column("since", sa.Integer(), nullable=False),
        sa.Column("until", sa.Integer(), nullable=True),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("content", sa.String(length=32), nullable=False),
        sa.Column("split", sa.Text(), nullable=False),
        sa.CheckConstraint("split in ('train', 'valid', 'guard')", name=op.f("ck_dataset_frames_split")),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_dataset_frames_frame_id_frames")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_dataset_frames_job_id_jobs")),
        sa.PrimaryKeyConstraint("frame_id", "since", name=op.f("pk_dataset_frames")),
        comment="A frame is in every version v with since <= v and (until is null or v < until).",
    )
    with op.batch_alter_table("dataset_frames", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_dataset_frames_job_id"), ["job_id"], unique=False)

    op.create_table(
        "job_frames",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("frame_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_job_frames_frame_id_frames")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_frames_job_id_jobs")),
        sa.PrimaryKeyConstraint("job_id", "frame_id", name=op.f("pk_job_frames")),
    )
    op.create_table(
        "predictions",
        sa.Column("model_id", sa.String(length=32), nullable=False),
        sa.Column("frame_id", sa.String(length=32), nullable=False),
        sa.Column("part_key", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_predictions_frame_id_frames")),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_predictions_model_id_models")),
        sa.PrimaryKeyConstraint("model_id", "frame_id", name=op.f("pk_predictions")),
    )
    op.create_table(
        "proposals",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("task_id", sa.String(length=32), nullable=False),
        sa.Column("frame_id", sa.String(length=32), nullable=False),
        sa.Column("model_id", sa.String(length=32), nullable=True),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("x", sa.Double(), nullable=False),
        sa.Column("y", sa.Double(), nullable=False),
        sa.Column("w", sa.Double(), nullable=False),
        sa.Column("h", sa.Double(), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("iscrowd", sa.Boolean(), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_proposals_frame_id_frames")),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_proposals_model_id_models")),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_proposals_task_id_tasks")),
        sa.PrimaryKeyConstraint("id", "task_id", name=op.f("pk_proposals")),
    )
    with op.batch_alter_table("proposals", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_proposals_frame_id"), ["frame_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_proposals_model_id"), ["model_id"], unique=False)

    op.create_table(
        "reviews",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at", sa.Text(), nullable=False),
        sa.CheckConstraint("action in ('submitted', 'accepted', 'rejected')", name=op.f("ck_reviews_action")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_reviews_job_id_jobs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reviews")),
    )
    with op.batch_alter_table("reviews", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_reviews_job_id"), ["job_id"], unique=False)

    op.create_table(
        "selections",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("model_id", sa.String(length=32), nullable=True),
        sa.Column("pool_size", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_selections_model_id_models")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_selections_run_id_runs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_selections")),
        sa.UniqueConstraint("number", name=op.f("uq_selections_number")),
    )
    with op.batch_alter_table("selections", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_selections_model_id"), ["model_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_selections_run_id"), ["run_id"], unique=False)

    op.create_table(
        "selection_frames",
        sa.Column("selection_id", sa.String(length=32), nullable=False),
        sa.Column("frame_id", sa.String(length=32), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_selection_frames_frame_id_frames")),
        sa.ForeignKeyConstraint(
            ["selection_id"], ["selections.id"], name=op.f("fk_selection_frames_selection_id_selections")
        ),
        sa.PrimaryKeyConstraint("selection_id", "frame_id", name=op.f("pk_selection_frames")),
    )


def downgrade() -> None:
    op.drop_table("selection_frames")
    with op.batch_alter_table("selections", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_selections_run_id"))
        batch_op.drop_index(batch_op.f("ix_selections_model_id"))

    op.drop_table("selections")
    with op.batch_alter_table("reviews", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_reviews_job_id"))

    op.drop_table("reviews")
    with op.batch_alter_table("proposals", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_proposals_model_id"))
        batch_op.drop_index(batch_op.f("ix_proposals_frame_id"))

    op.drop_table("proposals")
    op.drop_table("predictions")
    op.drop_table("job_frames")
    with op.batch_alter_table("dataset_frames", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_dataset_frames_job_id"))

    op.drop_table("dataset_frames")
    with op.batch_alter_table("annotations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_annotations_model_id"))
        batch_op.drop_index(batch_op.f("ix_annotations_job_id"))
        batch_op.drop_index(batch_op.f("ix_annotations_frame_id"))

    op.drop_table("annotations")
    op.drop_table("task_frames")
    with op.batch_alter_table("sampled", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sampled_video_id"))

    op.drop_table("sampled")
    with op.batch_alter_table("models", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_models_run_id"))
        batch_op.drop_index(batch_op.f("ix_models_parent_id"))
        batch_op.drop_index(batch_op.f("ix_models_dataset_version_id"))

    op.drop_table("models")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_task_id"))

    op.drop_table("jobs")
    with op.batch_alter_table("files", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_files_video_id"))
        batch_op.drop_index(batch_op.f("ix_files_sha256"))
        batch_op.drop_index(batch_op.f("ix_files_frame_id"))

    op.drop_table("files")
    with op.batch_alter_table("work", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_work_run_id"))

    op.drop_table("work")
    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_tasks_run_id"))

    op.drop_table("tasks")
    with op.batch_alter_table("frames", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_frames_video_id"))
        batch_op.drop_index(batch_op.f("ix_frames_camera"))

    op.drop_table("frames")
    with op.batch_alter_table("dataset_versions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_dataset_versions_run_id"))
        batch_op.drop_index(batch_op.f("ix_dataset_versions_parent_id"))

    op.drop_table("dataset_versions")
    with op.batch_alter_table("videos", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_videos_camera"))

    op.drop_table("videos")
    op.drop_table("split_plans")
    op.drop_table("runs")
    op.drop_table("categories")
