"""What the pages show of the whole workspace: counted beside their requests, and kept."""
