"""From a net and probe images to raw attention maps: `explaining` is `vizcallbacks.explain`.

`methods` is the table of methods; `cams`, `scored_cams`, `multipass` and `paths` hold their formulas; `targets`
says which score they explain. May import `nets`, `probes` and `measures`. Maps are raw float32 here; they are
scaled for the eye in `pictures` only.
"""
