"""Writing TensorBoard event files: records (`event_file`), the background thread that writes them (`event_log`).

Imports the ground only. What is logged is decided in `training`; nothing here knows of nets or maps.
"""
