"""Learning a detector from a training folder, for real: one module a library, each imported when it is asked for.

Every trainer works in a hidden ``.training`` folder of its output and moves what it made out of it at the end:
``model.pt`` or ``model.pth`` (the library's own checkpoint), ``model.onnx``, ``training.csv`` (what the library
measured, epoch by epoch), ``training.log`` (what it said) and, last, ``result.json``.  An output folder without
``result.json`` is unfinished.  Training that was interrupted begins again from the start: both libraries can
continue from a checkpoint, but neither restores its random state or its full precision, so a continued run would end
with another model than an undisturbed one.  Training that was finished is not repeated for the same data, options
and weights.
"""
