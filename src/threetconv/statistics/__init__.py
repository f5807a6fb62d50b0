"""From parameter tables to summaries, tests, densities and the tables of the paper.

The unit of replication is the training run. Pooling the rows of one run and testing them as if
they were independent rejects a true null hypothesis in most cases. No result is tested that way;
`calibration` tries it on simulated studies, to show the error. Every function takes DataFrames and
returns one.
"""
