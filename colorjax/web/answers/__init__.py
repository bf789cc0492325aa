"""What the page is answered: `sending` (pictures, files, and refusals in words), `comparing` (before and after, for sharing),
`zipped` (all copies).
"""
