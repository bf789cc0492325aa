"""`colorjax film`: `arguments` (what it can be asked), `command` (to its exit code), `job` (shot by shot, and on from where it
stopped), `places` (where a copy may lie), `checking` (the sidecar, and whether it holds), `signing` (who made it), `progress`,
`viewing` (the same for who chooses colours by eye).
"""
