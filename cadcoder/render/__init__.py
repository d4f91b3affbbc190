"""Solids to pictures: cameras, drawing, photographs, sketches, and how alike two pictures are.

Import the modules themselves (``cadcoder.render.gencad``, ``.camera``, ``.look``, ``.window``, ``.photo``,
``.sketch``, ``.compare``); this package imports nothing, so that it costs nothing.
"""
