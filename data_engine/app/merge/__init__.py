"""What enters the master dataset: accepted jobs and datasets from elsewhere."""
