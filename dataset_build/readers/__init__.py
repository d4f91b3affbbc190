"""Readers of published command-sequence data sets into :class:`cadcoder.program.types.Program`.

Every reader turns one source file into a ``Program`` or a :class:`~dataset_build.readers.rejects.Reject`;
nothing that a file holds makes it raise.
"""
