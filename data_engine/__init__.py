"""dataengine closes the data flywheel for detectors on video: footage in, a better detector out.

The rooms, from the outside in: ``cli`` and ``demo`` call ``app``; ``app`` joins settings, ``runner`` and the
implementations; ``stages`` holds one file a step of the loop, and their order as a table; ``types``, ``ports`` and
``errors`` are the words that all of them speak.  Importing this package imports none of them.
"""

__version__ = "0.1.0"
