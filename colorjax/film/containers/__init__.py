"""Films in and out, by PyAV (FFmpeg's libraries).

`planes` (samples of frames as arrays), `reading` (what a film is, and its frames), `writing` (a shot in a file of
its own), `assembling` (these and all else of the source in one file), `matroska` (what PyAV cannot tell its writer), `reel` (a
film as a job takes it).
"""
