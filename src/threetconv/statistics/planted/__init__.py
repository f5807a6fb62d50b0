"""Studies whose motion was planted: was it found, and in which direction?"""
