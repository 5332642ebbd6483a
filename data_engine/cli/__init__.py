"""The command line: options to settings, one call, one report.

``main`` finds the command and turns errors into exit codes, ``command`` wraps one function of ``app`` as a command,
``options`` makes options of settings, ``output``, ``progress`` and ``logs`` are what a person or a program gets to
see.  Nothing below this package prints, exits or knows Typer.
"""
