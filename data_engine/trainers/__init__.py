"""Learning a detector from a training folder, for real: one module a library, each imported when it is asked for.

Every trainer works in a hidden ``.training`` folder of its output and moves what it made out of it at the end:
``model.pt`` or ``model.pth`` (the library's own checkpoint), ``model.onnx``, ``training.csv`` (what the library
measured, epoch by epoch) and, last, ``result.json``.  An output folder without ``result.json`` is unfinished.  Beside
them lie from the beginning ``training.log`` (what the library said), ``arguments.json`` (its resolved settings),
``metrics.jsonl`` (what was measured, as it came) and ``tensorboard/``.  A training that was interrupted goes on from
its last checkpoint and ends with the same bytes; one that was finished is not repeated for the same data, options and
weights.
"""
