"""What the Snakefile imports: from the configuration to the jobs, their paths, inputs, specifications and requests."""
