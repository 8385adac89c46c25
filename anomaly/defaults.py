"""Defaults that the library, the command line and the service share. Nothing is imported, so that help is fast.

An exported folder has a copy of this file.
"""

ALPHA = 0.05
"""The false-alarm rate of verdicts: the share of normal images that may be flagged."""
MAX_PIXELS = 64_000_000
"""Of one image; larger ones are refused before they are decoded."""
PIL_MAX_PIXELS = 178_956_970
"""Beyond it PIL refuses an image by itself, whatever is allowed here."""
MAX_REASONS = 3
"""Of files that could not be used: so many are named in the terminal, and all of them in the results."""
