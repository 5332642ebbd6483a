"""Scores become ranked frames: pure functions over arrays.

:mod:`pool` holds the candidates, :mod:`uncertainty` and :mod:`temporal` collect :mod:`evidence` that a model is wrong
somewhere in a frame, :mod:`balance` weighs it by how rare the class is, :mod:`diversity` keeps look-alikes apart,
:mod:`budget` shares out the places and :mod:`explain` says why, for people.  Nothing here opens a file, asks a clock
or draws a number that does not come from the content.
"""
