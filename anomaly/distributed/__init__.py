"""Work for many processes, on this machine or, with the extra `ray`, on a Ray cluster.

tasks    one function over many items          processes, cluster   where the workers are
storage  folders on disks, in object stores    shards, reading      what an archive has, and the images of a shard
scoring  one shard to one file of results      tally, archive       counts; the use case
status   what is done                          report               the page
"""
