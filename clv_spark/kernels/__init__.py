"""What runs on a Spark executor, without Spark: pandas or Arrow in and out, nothing logged.

Tables say frequency, recency and T in days, papers say x, t_x and T in time units; the renaming
and the one division by the time unit happen here.
"""
