"""How good a detector is, and whether the plain baselines are better: from arrays to numbers, figures and a page."""
