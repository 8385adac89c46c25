"""Masks: which files are masks, whose they are, and what their pixels mean."""
