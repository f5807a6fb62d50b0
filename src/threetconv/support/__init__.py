"""What every stage leans on: files, logs, provenance, processes."""
