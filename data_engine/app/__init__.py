"""One module a command: it joins a stage with lineage, storage and the chosen implementations, and returns a report.

``engine`` turns settings into objects and is the only place that knows implementations.
"""
