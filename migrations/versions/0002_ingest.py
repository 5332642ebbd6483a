"""what ingest finds out about videos, and why a frame was kept"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_VIDEO_COLUMNS = (
    ("pixel_format", sa.Text()),
    ("variable_rate", sa.Boolean()),
    ("audio", sa.Boolean()),
    ("rotation", sa.Integer()),
    ("interlaced", sa.Boolean()),
    ("captured_at", sa.Text()),
    ("venue", sa.Text()),
    ("event", sa.Text()),
    ("crop", sa.Text()),
)


def upgrade() -> None:
    for name, kind in _VIDEO_COLUMNS:
        op.add_column("videos", sa.Column(name, kind, nullable=True))
    op.add_column("frames", sa.Column("crop", sa.Text(), nullable=True))
    op.add_column("sampled", sa.Column("weight", sa.Double(), nullable=True))
    op.add_column("sampled", sa.Column("reason", sa.Text(), nullable=True))

    op.create_table(
        "video_signatures",
        sa.Column("video_id", sa.String(length=32), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["video_id"], ["videos.id"], name=op.f("fk_video_signatures_video_id_videos")),
        sa.PrimaryKeyConstraint("video_id", "method", name=op.f("pk_video_signatures")),
        comment="What a video is compared by: hashes or vectors of sampled frames, by method and its parameters.",
    )
    op.create_table(
        "video_duplicates",
        sa.Column("video_id", sa.String(length=32), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("original_id", sa.String(length=32), nullable=False),
        sa.Column("distance", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["original_id"], ["videos.id"], name=op.f("fk_video_duplicates_original_id_videos")),
        sa.ForeignKeyConstraint(["video_id"], ["videos.id"], name=op.f("fk_video_duplicates_video_id_videos")),
        sa.PrimaryKeyConstraint("video_id", "method", name=op.f("pk_video_duplicates")),
        comment="Videos that look like another one; a remark, never a reason to delete. "
        "Copies by content are in files.",
    )
    with op.batch_alter_table("video_duplicates", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_video_duplicates_original_id"), ["original_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("video_duplicates", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_video_duplicates_original_id"))

    op.drop_table("video_duplicates")
    op.drop_table("video_signatures")
    # Not in batches: those make the table anew, which SQLite refuses while rows of others refer to it.
    op.drop_column("sampled", "reason")
    op.drop_column("sampled", "weight")
    op.drop_column("frames", "crop")
    for name, _kind in reversed(_VIDEO_COLUMNS):
        op.drop_column("videos", name)
