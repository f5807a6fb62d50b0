"""What a study writes and reads back: runs, parameters, the numbers of the paper."""
