"""when a box was accepted and by whom, what is about to be accepted, which frames were deleted on the server"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_OLD = sa.table("acceptances", *map(sa.column, ("job_id", "at", "content")))
_NEW = sa.table(
    "acceptances",
    *(sa.column(name) for name in ("id", "job_id", "accepted_at", "at", "content")),
    sa.column("deleted", sa.JSON()),
)


def upgrade() -> None:
    # A job has had one row: its own id serves.  The dates of boxes that are there already stay unknown.
    kept = [dict(row._mapping) for row in op.get_bind().execute(sa.select(_OLD))]
    op.drop_table("acceptances")
    op.create_table(
        "acceptances",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("submitted_at", sa.Text(), nullable=True),
        sa.Column("accepted_at", sa.Text(), nullable=False),
        sa.Column("accepted_by", sa.Text(), nullable=True),
        sa.Column("content", sa.String(length=32), nullable=False),
        sa.Column("deleted", sa.JSON(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_acceptances_job_id_jobs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acceptances")),
        comment="An accepted job, what it held, and its last date with that: "
        "a later date with other boxes is an edit nobody accepted.",
    )
    op.create_index(op.f("ix_acceptances_job_id"), "acceptances", ["job_id"], unique=False)
    if kept:
        op.bulk_insert(_NEW, [{**row, "id": row["job_id"], "accepted_at": row["at"], "deleted": []} for row in kept])
    op.create_table(
        "acceptance_intents",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("content", sa.String(length=32), nullable=False),
        sa.Column("deleted", sa.JSON(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_acceptance_intents_job_id_jobs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acceptance_intents")),
        comment="What is about to be accepted, until it is known whether it was.",
    )
    op.create_index(op.f("ix_acceptance_intents_job_id"), "acceptance_intents", ["job_id"], unique=False)
    # As text: Alembic adds the reference apart from its column, which SQLite does by copying all boxes.
    op.execute(
        "alter table annotations add column acceptance_id varchar(32) "
        "constraint fk_annotations_acceptance_id_acceptances references acceptances (id)"
    )
    op.create_index(op.f("ix_annotations_acceptance_id"), "annotations", ["acceptance_id"], unique=False)
    op.add_column("tasks", sa.Column("frames_at", sa.Text(), nullable=True))
    op.add_column("task_frames", sa.Column("deleted", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("task_frames", "deleted")
    op.drop_column("tasks", "frames_at")
    op.drop_index(op.f("ix_acceptance_intents_job_id"), table_name="acceptance_intents")
    op.drop_table("acceptance_intents")
    op.drop_index(op.f("ix_annotations_acceptance_id"), table_name="annotations")
    op.drop_column("annotations", "acceptance_id")
    rows = op.get_bind().execute(sa.select(_NEW).order_by(_NEW.c.at))
    newest = {row.job_id: {"job_id": row.job_id, "at": row.at, "content": row.content} for row in rows}
    op.drop_index(op.f("ix_acceptances_job_id"), table_name="acceptances")
    op.drop_table("acceptances")
    op.create_table(
        "acceptances",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("content", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_acceptances_job_id_jobs")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_acceptances")),
        comment="What an accepted job held, and its date then: "
        "a later date with other boxes is an edit nobody accepted.",
    )
    if newest:
        op.bulk_insert(_OLD, list(newest.values()))
