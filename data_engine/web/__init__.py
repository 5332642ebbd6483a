"""The pages for the people in the loop: FastAPI, server-rendered.

Every module with routes exports ``router``; :mod:`data_engine.web.server` puts them together.  A route parses, calls
one function of :mod:`data_engine.app` and renders: what is decided, is decided there.
"""
