"""What people's files, folders, clients and machines really are: inputs after public bug reports.

The modules make their inputs themselves, and say what is right for each. Those that describe a format, a layout or a
form of a folder list it as a `Row`, so `docs/formats.md` says what the tests exercise.
"""
