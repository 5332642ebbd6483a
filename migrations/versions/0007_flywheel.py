"""the flywheel: what each round brought"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _rounds_up()
    _promotions_up()
    _evaluations_up()


def downgrade() -> None:
    _evaluations_down()
    _promotions_down()
    _rounds_down()


def _rounds_up() -> None:
    op.create_table(
        "rounds",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("begun_at", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("model_before", sa.String(length=32), nullable=True),
        sa.Column("model_after", sa.String(length=32), nullable=True),
        sa.Column("pool", sa.Integer(), nullable=True),
        sa.Column("chosen", sa.Integer(), nullable=True),
        sa.Column("frames", sa.Integer(), nullable=True),
        sa.Column("boxes", sa.Integer(), nullable=True),
        sa.Column("imported", sa.Integer(), nullable=True),
        sa.Column("jobs", sa.Integer(), nullable=True),
        sa.Column("jobs_timed", sa.Integer(), nullable=True),
        sa.Column("minutes", sa.Double(), nullable=True),
        sa.Column("metrics", sa.JSON(), nullable=True),
        sa.Column("cpu_s", sa.JSON(), nullable=False),
        sa.Column("stop", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(["model_before"], ["models.id"], name=op.f("fk_rounds_model_before_models")),
        sa.ForeignKeyConstraint(["model_after"], ["models.id"], name=op.f("fk_rounds_model_after_models")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_rounds")),
        comment="A round of the loop, from its choice of frames to the model that was trained on them: numbers only.",
    )
    for column in _ROUND_INDEXES:
        op.create_index(op.f(f"ix_rounds_{column}"), "rounds", [column], unique=False)


def _rounds_down() -> None:
    for column in _ROUND_INDEXES:
        op.drop_index(op.f(f"ix_rounds_{column}"), table_name="rounds")
    op.drop_table("rounds")


_ROUND_INDEXES = ("model_before", "model_after")


def _promotions_up() -> None:
    op.add_column("models", sa.Column("thinned_at", sa.Text(), nullable=True))
    op.create_table(
        "promotions",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("model_id", sa.String(length=32), nullable=False),
        sa.Column("over_id", sa.String(length=32), nullable=True),
        sa.Column("back_to", sa.Integer(), nullable=True),
        sa.Column("placed", sa.Boolean(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.CheckConstraint(
            "action in ('crowned', 'forced', 'found', 'rolled back', 'refused')", name=op.f("ck_promotions_action")
        ),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_promotions_model_id_models")),
        sa.ForeignKeyConstraint(["over_id"], ["models.id"], name=op.f("fk_promotions_over_id_models")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_promotions")),
        comment="What was decided about a model. The newest row that is no refusal names the model in use, back_to the "
        "row that a rollback returns to; placed is false until the files are as the row says.",
    )
    for column in _PROMOTION_INDEXES:
        op.create_index(op.f(f"ix_promotions_{column}"), "promotions", [column], unique=False)


def _promotions_down() -> None:
    for column in _PROMOTION_INDEXES:
        op.drop_index(op.f(f"ix_promotions_{column}"), table_name="promotions")
    op.drop_table("promotions")
    # Not in a batch: that makes the table anew, which SQLite refuses while rows of others refer to it.
    op.drop_column("models", "thinned_at")


_PROMOTION_INDEXES = ("model_id", "over_id")


def _evaluations_up() -> None:
    op.create_table(
        "evaluations",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("model_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("dataset_version_id", sa.String(length=32), nullable=True),
        sa.Column("data_digest", sa.String(length=32), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.Column("boxes", sa.Integer(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.CheckConstraint("kind in ('golden', 'validation', 'folder')", name=op.f("ck_evaluations_kind")),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_evaluations_model_id_models")),
        sa.ForeignKeyConstraint(
            ["dataset_version_id"],
            ["dataset_versions.id"],
            name=op.f("fk_evaluations_dataset_version_id_dataset_versions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluations")),
        comment="A model on a set of pictures, by content: numbers by class, and the column file of what was found and "
        "missed.",
    )
    for column in _EVALUATION_INDEXES:
        op.create_index(op.f(f"ix_evaluations_{column}"), "evaluations", [column], unique=False)


def _evaluations_down() -> None:
    for column in _EVALUATION_INDEXES:
        op.drop_index(op.f(f"ix_evaluations_{column}"), table_name="evaluations")
    op.drop_table("evaluations")


_EVALUATION_INDEXES = ("model_id", "dataset_version_id")
