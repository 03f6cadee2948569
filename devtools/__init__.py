"""The `integrations` command: serve, call, extend and look after the bundle on a developer's machine.

Nothing here goes into Lambda.
"""
