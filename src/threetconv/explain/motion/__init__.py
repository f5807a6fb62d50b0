"""The motion that a 3T channel applies to its content over time."""
