"""The tables of videos, frames and the files that hold them."""

from __future__ import annotations

import sqlalchemy as sa

from data_engine.lineage.tables.base import identity, metadata, reference

videos = sa.Table(
    "videos",
    metadata,
    identity(),
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
    reference("video_id", "videos.id", primary=True),
    sa.Column("method", sa.Text, primary_key=True),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    comment="What a video is compared by: hashes or vectors of sampled frames, by method and its parameters.",
)

video_duplicates = sa.Table(
    "video_duplicates",
    metadata,
    reference("video_id", "videos.id", primary=True),
    sa.Column("method", sa.Text, primary_key=True),
    reference("original_id", "videos.id"),
    sa.Column("distance", sa.Double, nullable=False),
    comment="Videos that look like another one; a remark, never a reason to delete. Copies by content are in files.",
)

frames = sa.Table(
    "frames",
    metadata,
    identity(),
    sa.Column("name", sa.Text, nullable=False, index=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("camera", sa.Text, nullable=False, index=True),
    reference("video_id", "videos.id", nullable=True),
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
    reference("frame_id", "frames.id", nullable=True),
    reference("video_id", "videos.id", nullable=True),
)

sampled = sa.Table(
    "sampled",
    metadata,
    sa.Column("fingerprint", sa.String(32), primary_key=True),
    reference("frame_id", "frames.id", primary=True, index=True),
    reference("video_id", "videos.id"),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("similarity", sa.Double),
    sa.Column("weight", sa.Double),
    sa.Column("reason", sa.Text),
)
