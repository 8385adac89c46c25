"""What people's files, folders, clients and machines really are: inputs after public bug reports, each to its right value.

The modules make their inputs themselves. Those that describe a format, a layout or a form of a folder list it as a
`Row`, so `docs/formats.md` says what the tests exercise.
"""
