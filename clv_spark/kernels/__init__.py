"""Arrow and pandas in and out, no Spark: what runs inside a worker."""
