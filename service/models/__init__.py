"""Which bundles are served: the pool, how bundles are loaded into it, and where they are found."""
