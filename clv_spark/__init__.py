"""Customer lifetime value at scale: Spark features, models fitted on counts, scores in Delta tables."""

__version__ = "0.1.0"
