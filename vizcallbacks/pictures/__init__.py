"""From maps to uint8 pictures: one map (`render`), a panel (`panels`), many images (`sheets`), text (`lettering`).

Imports the table of methods and `probes`; never MXNet. All scaling for the eye happens here.
"""
