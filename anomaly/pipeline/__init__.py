"""The use cases, one in each module: each is the whole path from what a user names to what a user keeps.

This is the only place where training, inference and evaluation meet. Whoever needs one imports its module: training
needs torch, and scoring does not.
"""
