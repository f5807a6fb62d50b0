"""Drawing: a finished table in, a matplotlib `Figure` out; no number is computed here."""
