"""Films on the page: `routes` (what is asked and answered), `room` (looked through, shown frame by frame, a shot tried, all
coloured), `turns` (so that others are not kept waiting), `shelf` (whose films are whose, and the room on the disk), `limits`
(what a machine that others use can give).
"""
