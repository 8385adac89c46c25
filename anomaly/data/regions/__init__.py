"""The region of interest: read from a mask or from polygons, or proposed from what normal pictures have in common."""
