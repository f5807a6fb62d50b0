"""What the channels of a video network answer to, measured with stimuli of known motion."""
