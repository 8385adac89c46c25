"""The HTTP service: images in, scores out. It scores with bundles; it neither trains nor evaluates."""
