"""Is a dataset fit to train on? Looked at before anybody trains."""
