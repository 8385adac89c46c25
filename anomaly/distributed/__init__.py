"""Work for many processes, on this machine or on a Ray cluster. Needs the extra `ray`.

tasks    one function over many items       processes, cluster   where the workers are
"""
