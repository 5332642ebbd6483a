"""the pages: what reviewers looked at and remarked, and what lists are read by"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _reviewing_up()
    for name, (table, columns) in _LISTED_BY.items():
        op.create_index(name, table, columns, unique=False)


def downgrade() -> None:
    for name, (table, _columns) in _LISTED_BY.items():
        op.drop_index(name, table_name=table)
    _reviewing_down()


_LISTED_BY = {
    "ix_jobs_stage": ("jobs", ["backend", "stage", "assignee", "number"]),
    "ix_selection_frames_rank": ("selection_frames", ["selection_id", "rank"]),
}
"""What the lists of the pages are read by."""


def _reviewing_up() -> None:
    op.create_table(
        "review_marks",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("frame_id", sa.String(length=32), nullable=False),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.Column("content", sa.String(length=32), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.CheckConstraint("mark in ('seen', 'clean', 'remarked')", name=op.f("ck_review_marks_mark")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_review_marks_job_id_jobs")),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_review_marks_frame_id_frames")),
        sa.PrimaryKeyConstraint("job_id", "frame_id", "reviewer", name=op.f("pk_review_marks")),
        comment="A frame of a job as somebody looked at it: with other boxes than those of content the mark is void.",
    )
    op.create_table(
        "review_remarks",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("frame_id", sa.String(length=32), nullable=False),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("x", sa.Double(), nullable=True),
        sa.Column("y", sa.Double(), nullable=True),
        sa.Column("w", sa.Double(), nullable=True),
        sa.Column("h", sa.Double(), nullable=True),
        sa.Column("at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_review_remarks_job_id_jobs")),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_review_remarks_frame_id_frames")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_remarks")),
        comment="What is wrong on a frame, until the job is rejected and its annotator is told.",
    )
    op.create_table(
        "review_looks",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("reviewer", sa.Text(), nullable=True),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("opened", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.CheckConstraint("action in ('accepted', 'rejected')", name=op.f("ck_review_looks_action")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_review_looks_job_id_jobs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_looks")),
        comment="How a job was looked at by those who reviewed it when it was decided in the pages: numbers only.",
    )
    for table, column in _REVIEW_INDEXES:
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column], unique=False)


def _reviewing_down() -> None:
    for table, column in _REVIEW_INDEXES:
        op.drop_index(op.f(f"ix_{table}_{column}"), table_name=table)
    for table in ("review_looks", "review_remarks", "review_marks"):
        op.drop_table(table)


_REVIEW_INDEXES = (
    ("review_marks", "frame_id"),
    ("review_remarks", "job_id"),
    ("review_remarks", "frame_id"),
    ("review_looks", "job_id"),
)
