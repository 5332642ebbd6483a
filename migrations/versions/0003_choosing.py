"""what choosing frames needs to remember: embeddings, canaries, when jobs changed"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "canaries",
        sa.Column("model_id", sa.String(length=32), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("checked_at", sa.Text(), nullable=False),
        sa.CheckConstraint("verdict in ('agrees', 'unclear')", name=op.f("ck_canaries_verdict")),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_canaries_model_id_models")),
        sa.PrimaryKeyConstraint("model_id", "environment", name=op.f("pk_canaries")),
        comment="What a model said of known pictures under each set of library versions, "
        "and whether its classes are ours.",
    )
    op.create_table(
        "embeddings",
        sa.Column("embedder", sa.Text(), nullable=False),
        sa.Column("frame_id", sa.String(length=32), nullable=False),
        sa.Column("part_key", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_embeddings_frame_id_frames")),
        sa.PrimaryKeyConstraint("embedder", "frame_id", name=op.f("pk_embeddings")),
    )
    op.create_table(
        "job_changes",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("assignee", sa.Text(), nullable=True),
        sa.Column("at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_changes_job_id_jobs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_changes")),
        comment="When a job was seen to change its stage, state or assignee: "
        "from this the minutes of work are learned.",
    )
    op.create_index(op.f("ix_job_changes_job_id"), "job_changes", ["job_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_job_changes_job_id"), table_name="job_changes")
    op.drop_table("job_changes")
    op.drop_table("embeddings")
    op.drop_table("canaries")
