"""Numbers that describe attention maps: of one map (`of_one_map`), and of two maps of one image (`of_two_maps`).

NumPy only; nothing here knows of nets, pictures or files. A new measure is a function and a line in a table.
"""
