"""Bytes to arrays to numbers: decoding video, comparing pictures, hashing them, reading and writing picture files.

Nothing is imported here: the modules need PyAV, OpenCV or Pillow, and whoever calls them imports them when used.
"""
