"""From a network and clips to a run folder."""
