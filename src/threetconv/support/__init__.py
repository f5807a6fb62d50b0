"""What every stage uses: files, logs, provenance, processes."""
