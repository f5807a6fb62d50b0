"""Data sets: folders become tables of clips, clips become frames; synthetic sets are drawn."""
