"""Models: trained, measured, promoted, in use."""
