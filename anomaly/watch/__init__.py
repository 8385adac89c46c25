"""`anomaly watch`: scores what is dropped into a folder, and reports each picture at least once, whatever happens.

arrivals  which files are whole            journal   what was accepted, scored and reported; on disk
changes   when to look                     targets   where reports go: a file, a webhook, MQTT
sorting   where pictures go afterwards     retry     when to try again what has failed
watching  the loop that joins them
"""
