"""the master dataset: what a frame or a task is asked by"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_INDEXES = (
    ("frames", "name"),
    ("sampled", "frame_id"),
    ("predictions", "frame_id"),
    ("selection_frames", "frame_id"),
    ("task_frames", "frame_id"),
    ("job_frames", "frame_id"),
)

REWRITTEN = (
    ("dataset_frames.split from golden to guard", "select count(*) from dataset_frames where split = 'golden'"),
)
"""What the way back changes in rows that stay, and how many of them."""
HARM = (
    ("sources that were purged may come back", "select count(*) from tombstones"),
    (
        "versions with golden frames are no longer what their ids say, and later frames may leak between the sides",
        "select count(*) from dataset_frames where split = 'golden'",
    ),
)
"""What going back and up again does not mend, and in how many cases."""


def upgrade() -> None:
    for table, column in _INDEXES:
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column], unique=False)
    _versions_up()
    _keeping_up()
    _classes_up()
    _splits_up()
    _conflicts_up()


def downgrade() -> None:
    _conflicts_down()
    _splits_down()
    _classes_down()
    _keeping_down()
    _versions_down()
    for table, column in reversed(_INDEXES):
        op.drop_index(op.f(f"ix_{table}_{column}"), table_name=table)


def _keeping_up() -> None:
    op.create_table(
        "withdrawals",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("frame_id", sa.String(length=32), nullable=False),
        sa.Column("acceptance_id", sa.String(length=32), nullable=True),
        sa.Column("job_date", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_withdrawals_frame_id_frames")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_withdrawals_job_id_jobs")),
        sa.PrimaryKeyConstraint("job_id", "frame_id", name=op.f("pk_withdrawals")),
        comment="What a revert took back of a job: it gives this frame again when it was accepted anew, not before.",
    )
    op.create_index(op.f("ix_withdrawals_frame_id"), "withdrawals", ["frame_id"], unique=False)
    op.create_table(
        "tombstones",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.CheckConstraint("kind in ('camera', 'video', 'frame')", name=op.f("ck_tombstones_kind")),
        sa.CheckConstraint("state in ('begun', 'done')", name=op.f("ck_tombstones_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tombstones")),
        comment="What stands in the place of a source that was purged: which, why, by whom, and what held it.",
    )
    op.create_table(
        "purged",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("tombstone_id", sa.String(length=32), nullable=False),
        sa.CheckConstraint("kind in ('frame', 'video', 'picture')", name=op.f("ck_purged_kind")),
        sa.ForeignKeyConstraint(["tombstone_id"], ["tombstones.id"], name=op.f("fk_purged_tombstone_id_tombstones")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purged")),
        comment="Ids of frames and videos that were purged, and the beginnings of their pictures' SHA-256 sums: "
        "none may come back.",
    )
    op.create_index(op.f("ix_purged_tombstone_id"), "purged", ["tombstone_id"], unique=False)


def _keeping_down() -> None:
    op.drop_index(op.f("ix_purged_tombstone_id"), table_name="purged")
    op.drop_table("purged")
    op.drop_table("tombstones")
    op.drop_index(op.f("ix_withdrawals_frame_id"), table_name="withdrawals")
    op.drop_table("withdrawals")


def _classes_up() -> None:
    op.create_table(
        "category_names",
        sa.Column("category_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("since", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("until", sa.Integer(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("supercategory", sa.Text(), nullable=False),
        sa.Column("offered", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["category_id"], ["categories.id"], name=op.f("fk_category_names_category_id_categories")
        ),
        sa.PrimaryKeyConstraint("category_id", "since", name=op.f("pk_category_names")),
        comment="A class is listed under this name in every version v "
        "with since <= v and (until is null or v < until).",
    )
    op.create_table(
        "category_changes",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("category_id", sa.Integer(), nullable=False),
        sa.Column("into_id", sa.Integer(), nullable=True),
        sa.Column("old_name", sa.Text(), nullable=True),
        sa.Column("new_name", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("boxes", sa.Integer(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "kind in ('added', 'renamed', 'merged', 'split', 'retired', 'restored')",
            name=op.f("ck_category_changes_kind"),
        ),
        sa.ForeignKeyConstraint(
            ["category_id"], ["categories.id"], name=op.f("fk_category_changes_category_id_categories")
        ),
        sa.ForeignKeyConstraint(["into_id"], ["categories.id"], name=op.f("fk_category_changes_into_id_categories")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_category_changes")),
        comment="What was done to a class, from which version on; never changed, never removed.",
    )
    op.create_table(
        "requeued",
        sa.Column("task_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("frame_id", sa.String(length=32), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("x", sa.Double(), nullable=True),
        sa.Column("y", sa.Double(), nullable=True),
        sa.Column("w", sa.Double(), nullable=True),
        sa.Column("h", sa.Double(), nullable=True),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_requeued_frame_id_frames")),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_requeued_task_id_tasks")),
        sa.PrimaryKeyConstraint("task_id", "number", name=op.f("pk_requeued")),
        comment="Why a frame of the dataset was put into a task again, and whether those who have the job were told.",
    )
    op.create_index(op.f("ix_requeued_frame_id"), "requeued", ["frame_id"], unique=False)
    # Nobody kept when a class came: every version that there is lists them all.
    op.execute(
        "insert into category_names (category_id, since, until, name, supercategory, offered) "
        "select id, 1, null, name, supercategory, true from categories"
    )


def _classes_down() -> None:
    # The names of now stay in categories; classes that were merged or retired are as any other again.
    op.drop_index(op.f("ix_requeued_frame_id"), table_name="requeued")
    op.drop_table("requeued")
    op.drop_table("category_changes")
    op.drop_table("category_names")


def _versions_up() -> None:
    op.create_index(op.f("ix_proposals_task_id"), "proposals", ["task_id", "model_id"], unique=False)
    op.drop_index(op.f("ix_annotations_frame_id"), table_name="annotations")
    op.create_index(
        op.f("ix_annotations_frame_id"), "annotations", ["frame_id", "category_id", "since", "until"], unique=False
    )


def _versions_down() -> None:
    op.drop_index(op.f("ix_proposals_task_id"), table_name="proposals")
    op.drop_index(op.f("ix_annotations_frame_id"), table_name="annotations")
    op.create_index(op.f("ix_annotations_frame_id"), "annotations", ["frame_id"], unique=False)


def _splits_up() -> None:
    with op.batch_alter_table("split_plans", schema=None) as batch_op:
        batch_op.add_column(sa.Column("shares", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("shift", sa.Double(), nullable=False, server_default=sa.text("0")))
    op.create_table(
        "golden_blocks",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("source", "block", name=op.f("pk_golden_blocks")),
        comment="Blocks of sources that models are judged on, for ever, since that version of the dataset.",
    )
    _sides_are("'train', 'valid', 'guard', 'golden'")


def _splits_down() -> None:
    # The old schema has no side for them; on the guard they are at least not trained on.
    op.execute("update dataset_frames set split = 'guard' where split = 'golden'")
    _sides_are("'train', 'valid', 'guard'")
    op.drop_table("golden_blocks")
    with op.batch_alter_table("split_plans", schema=None) as batch_op:
        batch_op.drop_column("shift")
        batch_op.drop_column("shares")


def _sides_are(names: str) -> None:
    # A row a frame; SQLite copies them, and not the boxes.
    name, condition = op.f("ck_dataset_frames_split"), f"split in ({names})"
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(name, "dataset_frames", type_="check")
        op.create_check_constraint(name, "dataset_frames", condition)
        return
    # Without the reflection of checks, the copy has none but the new one.
    with op.batch_alter_table("dataset_frames", schema=None) as batch_op:
        batch_op.create_check_constraint(name, condition)


def _conflicts_up() -> None:
    op.create_table(
        "merge_conflicts",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("frame_id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("other_job_id", sa.String(length=32), nullable=False),
        sa.Column("kinds", sa.JSON(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("kept", sa.Text(), nullable=False),
        sa.Column("theirs", sa.JSON(), nullable=False),
        sa.Column("ours", sa.JSON(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.CheckConstraint("policy in ('newest', 'ask', 'both')", name=op.f("ck_merge_conflicts_policy")),
        sa.CheckConstraint("kept in ('theirs', 'ours')", name=op.f("ck_merge_conflicts_kept")),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_merge_conflicts_frame_id_frames")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_merge_conflicts_job_id_jobs")),
        sa.ForeignKeyConstraint(["other_job_id"], ["jobs.id"], name=op.f("fk_merge_conflicts_other_job_id_jobs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_merge_conflicts")),
        comment="Frames of which two accepted jobs said something else: the boxes of both sides, and whose were kept.",
    )
    for column in _CONFLICT_INDEXES:
        op.create_index(op.f(f"ix_merge_conflicts_{column}"), "merge_conflicts", [column], unique=False)


def _conflicts_down() -> None:
    for column in _CONFLICT_INDEXES:
        op.drop_index(op.f(f"ix_merge_conflicts_{column}"), table_name="merge_conflicts")
    op.drop_table("merge_conflicts")


_CONFLICT_INDEXES = ("frame_id", "job_id", "other_job_id")
