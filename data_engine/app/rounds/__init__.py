"""The loop, round by round, and the report on it."""
