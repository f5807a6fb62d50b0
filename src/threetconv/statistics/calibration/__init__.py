"""Level, power and coverage of the tests, on simulated studies with a known truth."""
