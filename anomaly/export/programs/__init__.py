"""The programs of an exported folder. They are copied as they are, and run there, beside the copy of the reader."""
