"""Videos and pictures: brought in, sampled, known by their content."""
