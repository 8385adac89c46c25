"""What the server keeps of what it did: the history, drift and metrics."""
