"""The memory of the loop: who made what from what, in SQLite or PostgreSQL.

``tables`` is the schema, ``database`` opens it, and one module a noun holds its writes and reads:
``footage`` (videos, frames, files), ``work`` (runs and what is done), ``models`` (and their predictions),
``choices`` (selections), ``uploads`` (tasks), ``labelling`` (jobs, reviews) and ``datasets`` (accepted boxes and
versions).
Every function takes a connection, so that a caller decides what belongs into one transaction.
"""
