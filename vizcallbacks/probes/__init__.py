"""The fixed images to look at: the set (`probe_set`), its sources (`sources`), image files (`photographs`).

Imports the ground (`archive`, `checks`) only; datasets and transforms are duck-typed, so MXNet is not imported.
"""
