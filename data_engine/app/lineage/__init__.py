"""Where things come from, and how a source is removed from all that derives from it."""
