"""The command `threetconv`, one file a command."""
