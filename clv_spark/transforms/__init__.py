"""DataFrame to DataFrame, lazy: no read, no write, no action."""
