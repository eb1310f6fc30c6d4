"""Many images, some at a time: read, looked at, scored and dropped; rows alone stay.

A chunk is `CHUNK` lines of the manifest. Chunks depend on the manifest alone, never on how many
workers there are, on a resume or on a cluster: a network's score may differ in its last bit with
the images that it is given at once.
"""
