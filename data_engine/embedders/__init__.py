"""Pictures become vectors whose distance means likeness; :mod:`local` needs no weights and no extra."""
