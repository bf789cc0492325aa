"""Never mistaken for an original: the mark of a coloured film, in the tags of its container."""

import json

from colorjax import photos
from colorjax.archive import provenance


def tags(origin: provenance.Origin) -> dict[str, str]:
    """What says that the colour was computed, of what, and how."""
    return {
        "DIGITAL_SOURCE_TYPE": provenance.source_type_uri(origin.source_type),
        "DERIVED_FROM": f"{photos.legible(origin.name)} sha256:{origin.sha256}",
        "COLORJAX": f"{provenance.SOFTWARE}: {provenance.PREDICTED}{json.dumps(origin.settings, sort_keys=True)}",
    }


def is_tagged(said: dict[str, str]) -> bool:
    """Whether the tags of a film are those of a copy that colorjax made."""
    return any(provenance.PREDICTED in text for text in said.values())
