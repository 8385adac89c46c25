"""DATA in each of its forms, as labelled samples."""
