"""Versions of the master dataset: written, read, compared, verified, taken back."""
