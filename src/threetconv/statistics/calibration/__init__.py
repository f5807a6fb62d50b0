"""Do the tests keep their promises? Simulated studies whose truth is known."""
