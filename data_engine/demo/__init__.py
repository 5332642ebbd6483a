"""The demonstration: footage of a plant floor drawn here with its exact truth, and the page that shows what came of it.

``hall`` and ``scene`` draw what stands still, ``sprites`` the workers; ``plan`` decides who is where and when,
``camera`` films it and ``footage`` makes the videos.  ``page`` and ``markup`` show a finished run.  The loop itself
needs none of this.
"""
