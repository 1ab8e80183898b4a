"""What a person looks at: runs read back from disk, the interactive page, TensorBoard's tab "Attention", exports.

It reads run folders and writes only the files it is asked for. It may import `regression`, `pictures`, `probes`,
`measures` and what works on stored maps in `attribution`; never MXNet. Only `tab` and `tab_server` import
TensorBoard, and `tab` nothing of this package at its top: TensorBoard imports it at every start.
"""
