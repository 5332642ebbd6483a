"""The frames that a person's minutes are worth."""
