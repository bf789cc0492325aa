"""What is known for a film by its name, and what films may take of a machine that others use, too."""

from dataclasses import dataclass

SUFFIXES = (".mkv", ".mov", ".mp4", ".m4v", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".mxf", ".dv", ".vob")
SUFFIXES += (".wmv", ".flv", ".ogv", ".3gp", ".nut", ".y4m")


@dataclass(frozen=True)
class FilmLimits:
    """upload: bytes of a film. room: bytes that a visitor's films may take with all that is made of them; all films may take
    three times that. pixels: of a frame. frames: that a film may have.

    of_one, places: how many films a visitor may have, and all together; of one address other than this machine half of them.
    pace: bytes a second; what comes slower gives its place up where no other is left, to an address that has fewer films.
    shown: frames of a shot that are tried at once. free: bytes of the disk that stay free. seconds: that a whole film may take.
    """

    upload: int = 10**9
    room: int = 8 * 10**9
    pixels: int = 4_500_000
    frames: int = 45_000
    of_one: int = 2
    places: int = 12
    pace: float = 250_000.0
    shown: int = 240
    free: int = 10**9
    seconds: float = 24 * 3600.0
