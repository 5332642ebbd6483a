"""Where people correct boxes and accept or reject them: ``local``, plain files for any annotation tool.

The jobs have the stages and states that CVAT gives them, and behave as its do.
"""
