"""what work on an annotation server needs to remember: the steps of creating tasks, probe boxes, what was accepted"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "task_steps",
        sa.Column("backend", sa.Text(), nullable=False),
        sa.Column("task_id", sa.String(length=32), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("backend", "task_id", "step", name=op.f("pk_task_steps")),
        comment="What was done of the creation of a task on a server; "
        "written as each step ends, before the next begins.",
    )
    op.create_table(
        "probes",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("task_id", sa.String(length=32), nullable=False),
        sa.Column("frame_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("x", sa.Double(), nullable=False),
        sa.Column("y", sa.Double(), nullable=False),
        sa.Column("w", sa.Double(), nullable=False),
        sa.Column("h", sa.Double(), nullable=False),
        sa.Column("replaces", sa.String(length=32), nullable=True),
        sa.CheckConstraint("kind in ('invented', 'shifted', 'swapped')", name=op.f("ck_probes_kind")),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_probes_task_id_tasks")),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_probes_frame_id_frames")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_probes")),
        comment="Boxes that are known to be wrong, shown among the proposals to see whether people look.",
    )
    op.create_index(op.f("ix_probes_task_id"), "probes", ["task_id"], unique=False)
    op.create_index(op.f("ix_probes_frame_id"), "probes", ["frame_id"], unique=False)
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


def downgrade() -> None:
    op.drop_table("acceptances")
    op.drop_index(op.f("ix_probes_frame_id"), table_name="probes")
    op.drop_index(op.f("ix_probes_task_id"), table_name="probes")
    op.drop_table("probes")
    op.drop_table("task_steps")
