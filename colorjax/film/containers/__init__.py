"""Films in and out, by PyAV (FFmpeg's libraries).

`planes` (samples of frames as arrays), `reading` (what a film is, and its frames), `looks` (what a look at all frames tells),
`writing` (a shot in a file of its own), `assembling` (these and all else of the source in one file), `alongside` (that else),
`marks` (what says in it that its colour was computed), `matroska` (what PyAV cannot tell its writer), `reel` (a film as a job
takes it).
"""
