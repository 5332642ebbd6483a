"""Where the work of a stage runs: in this process (``inline``) or in worker processes of this machine (``processes``).

Both give the same results in the same order and fail at the same input, so that a stage never knows which it got.
"""
