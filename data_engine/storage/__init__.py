"""Where files live: ``local``, this machine's disks.

Everything else knows a file by its key, so that a workspace can be moved, and its records stay true.
"""
