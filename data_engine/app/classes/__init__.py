"""The class registry and its history."""
