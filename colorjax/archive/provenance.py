"""Never mistaken for an original: the mark of a colourised copy in its XMP."""

import json
import os
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from xml.dom import minidom
from xml.parsers.expat import ExpatError
from xml.sax.saxutils import escape, quoteattr

from colorjax.photos import kind, legible
from colorjax.platform.version import VERSION

SOFTWARE = f"colorjax {VERSION}"
# Of IPTC's vocabulary https://cv.iptc.org/newscodes/digitalsourcetype/; the first is the default.
SOURCE_TYPES = ("compositeWithTrainedAlgorithmicMedia", "trainedAlgorithmicMedia", "algorithmicallyEnhanced")
_VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_RDF, _EXT, _MM, _REF, _EVENT, _XMP, _TIFF = (
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "http://ns.adobe.com/xap/1.0/mm/",
    "http://ns.adobe.com/xap/1.0/sType/ResourceRef#",
    "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#",
    "http://ns.adobe.com/xap/1.0/",
    "http://ns.adobe.com/tiff/1.0/",
)
_OURS = [(_EXT, "DigitalSourceType"), (_MM, "DerivedFrom"), (_MM, "DocumentID"), (_MM, "InstanceID")]
_OURS += [("http://ns.adobe.com/xmp/note/", "HasExtendedXMP")]  # it names a second packet that no copy has
# What promises a gain map, a film, a depth map or a sound behind the picture, which no copy has: whole namespaces, and names.
_PROMISES = ["http://ns.adobe.com/hdr-gain-map/1.0/", "http://ns.apple.com/HDRGainMap/1.0/"]
_PROMISES += [f"http://ns.google.com/photos/1.0/{name}/" for name in ("container", "depthmap", "image", "audio")]
_CAMERA, _OF_FILMS = "http://ns.google.com/photos/1.0/camera/", ("MotionPhoto", "MicroVideo")
_WIDE = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be", b"<\0": "utf-16-le", b"\0<": "utf-16-be"}  # by how it begins
# What a parser would change in an attribute, or anywhere; meanwhile control characters stand for it, which XML cannot hold.
_SPACES = {"\t": "\1", "\n": "\2", "\r": "\3"}
_EMPTY = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}"/></x:xmpmeta>'.encode()
PREDICTED = "colour predicted by a trained network: "
_NEAR_AN_END = 2**20  # bytes
_HEAD, _TAIL = b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n', b'\n<?xpacket end="w"?>'


def source_type_uri(name: str) -> str:
    """The URI of one of `SOURCE_TYPES`. Raises ValueError for other names."""
    if name not in SOURCE_TYPES:
        raise ValueError(f"source-type {name!r} is unknown; legal are {', '.join(SOURCE_TYPES)}")
    return _VOCABULARY + name


@dataclass(frozen=True)
class Origin:
    """Where a copy comes from.

    name, sha256: of the source file. source_type: one of SOURCE_TYPES. settings: what else the copy's pixels depend on.
    """

    name: str
    sha256: str
    source_type: str
    settings: dict[str, Any]

    @property
    def identifier(self) -> uuid.UUID:
        """Of the copy; the same source and settings have the same."""
        return uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([self.sha256, self.settings], sort_keys=True))


def marked(xmp: bytes, origin: Origin) -> tuple[bytes, tuple[str, ...]]:
    """An XMP packet (b"" for none) with the mark of a colourised copy; and what of the packet is lost, in words.

    Sets Iptc4xmpExt:DigitalSourceType, xmpMM:DerivedFrom (with the source's own identifiers where it has some), the copy's
    identifiers and an entry of xmpMM:History; tiff:Orientation becomes 1, as the pixels are upright. All else stays.
    """
    try:
        return _marked(xmp, origin), ()
    except (ExpatError, ValueError, LookupError, RecursionError) as error:
        return _marked(b"", origin), (f"its XMP, which is damaged ({error})",)


def is_copy(path: Path) -> bool:
    """Whether a file bears the mark of a copy that colorjax made, whatever it is called; False where it cannot be read.

    It is never compressed. In TIFF, AVIF and HEIC it is looked for near both ends, in others wherever it may lie.
    """
    name = kind(path)
    if name is None:
        return False
    try:
        with open(path, "rb") as stream:
            return any(_bears_mark(stream, start, size) for start, size in _PARTS.get(name, _ends)(stream))
    except OSError:
        return False


def _bears_mark(stream: BinaryIO, start: int, size: int) -> bool:
    """Whether the mark is among so many bytes, which are read a part at a time."""
    stream.seek(start)
    before, mark = b"", PREDICTED.encode()
    while size > 0 and (data := stream.read(min(size, _NEAR_AN_END))):
        if mark in before + data:
            return True
        before, size = (before + data)[-len(mark) :], size - len(data)
    return False


def _ends(stream: BinaryIO) -> Iterator[tuple[int, int]]:
    """The first and the last bytes of a file, as (start, size)."""
    yield 0, _NEAR_AN_END
    yield max(0, stream.seek(0, os.SEEK_END) - _NEAR_AN_END), _NEAR_AN_END


def _segments(stream: BinaryIO) -> Iterator[tuple[int, int]]:
    """The APP1 segments of a JPEG, before its first scan."""
    place = 2
    while (head := _at(stream, place, 4)) and head[0] == 0xFF and head[1] not in (0xD9, 0xDA):
        if head[1] == 0xFF:  # filled up
            place += 1
            continue
        size = int.from_bytes(head[2:], "big")
        if head[1] == 0xE1:
            yield place, 2 + size
        place += 2 + size


def _chunks(stream: BinaryIO) -> Iterator[tuple[int, int]]:
    """The international texts of a PNG, the XMP of a WebP."""
    png = _at(stream, 0, 4) != b"RIFF"
    place = 8 if png else 12
    while head := _at(stream, place, 8):
        size = int.from_bytes(head[:4], "big") if png else int.from_bytes(head[4:], "little")
        if head[4:] == b"iTXt" if png else head[:4] == b"XMP ":
            yield place + 8, size
        place += 12 + size if png else 8 + size + size % 2


def _boxes(stream: BinaryIO) -> Iterator[tuple[int, int]]:
    """The boxes of a JPEG 2000 or XL that may hold XMP."""
    place = 0
    while head := _at(stream, place, 8):
        size = int.from_bytes(head[:4], "big")
        size = int.from_bytes(_at(stream, place + 8, 8), "big") if size == 1 else size
        size = size or stream.seek(0, os.SEEK_END) - place  # 0: up to the end
        if head[4:] in (b"uuid", b"xml "):
            yield place, size
        place += max(8, size)


def _at(stream: BinaryIO, place: int, size: int) -> bytes:
    """So many bytes from a place on, b"" where there are fewer."""
    stream.seek(place)
    data = stream.read(size)
    return data if len(data) == size else b""


_PARTS: dict[str, Callable[[BinaryIO], Iterator[tuple[int, int]]]] = {
    "JPEG": _segments,
    "PNG": _chunks,
    "WEBP": _chunks,
    "JPEG2000": _boxes,
    "JXL": _boxes,
}


def source_type(xmp: bytes) -> str:
    """The DigitalSourceType that a packet states, "" for none or a damaged packet."""
    try:
        return _value(_parsed(xmp), _EXT, "DigitalSourceType")
    except (ExpatError, ValueError, LookupError, RecursionError):
        return ""


def _marked(xmp: bytes, origin: Origin) -> bytes:
    document = _parsed(xmp)
    derived = {"documentID": f"sha256:{origin.sha256}", "filePath": legible(origin.name)}
    for key in ("DocumentID", "InstanceID", "OriginalDocumentID"):
        if value := _value(document, _MM, key):
            derived[f"{key[0].lower()}{key[1:]}"] = value
    for namespace, key in _OURS:
        _remove(document, namespace, key)
    _break_promises(document)
    if _value(document, _TIFF, "Orientation"):
        _set(document, _TIFF, "Orientation", "1")
    entries = "".join(f"<stRef:{key}>{escape(value)}</stRef:{key}>" for key, value in sorted(derived.items()))
    parameters = escape(PREDICTED + json.dumps(origin.settings, sort_keys=True))
    event = (
        f'<rdf:li xmlns:rdf="{_RDF}" xmlns:stEvt="{_EVENT}" rdf:parseType="Resource"><stEvt:action>edited</stEvt:action>'
        f"<stEvt:softwareAgent>{SOFTWARE}</stEvt:softwareAgent><stEvt:parameters>{parameters}</stEvt:parameters></rdf:li>"
    )
    history = [child for node in _elements(document, _MM, "History") for child in node.childNodes]
    lists = [node for node in history if node.namespaceURI == _RDF and node.localName in ("Seq", "Bag")]
    if not lists:
        _remove(document, _MM, "History")
    else:
        lists[0].appendChild(document.importNode(minidom.parseString(event).documentElement, True))
    ours = [
        f"<Iptc4xmpExt:DigitalSourceType>{source_type_uri(origin.source_type)}</Iptc4xmpExt:DigitalSourceType>",
        f'<xmpMM:DerivedFrom rdf:parseType="Resource">{entries}</xmpMM:DerivedFrom>',
        f"<xmpMM:DocumentID>xmp.did:{origin.identifier}</xmpMM:DocumentID>",
        f"<xmpMM:InstanceID>xmp.iid:{origin.identifier}</xmpMM:InstanceID>",
        "" if lists else f"<xmpMM:History><rdf:Seq>{event}</rdf:Seq></xmpMM:History>",
        "" if _value(document, _XMP, "CreatorTool") else f"<xmp:CreatorTool>{SOFTWARE}</xmp:CreatorTool>",
    ]
    description = minidom.parseString(
        f'<rdf:Description xmlns:rdf="{_RDF}" xmlns:Iptc4xmpExt="{_EXT}" xmlns:xmpMM="{_MM}" xmlns:stRef="{_REF}" '
        f'xmlns:xmp="{_XMP}" rdf:about={quoteattr(_about(document))}>{"".join(ours)}</rdf:Description>'.encode()
    )
    _rdf(document).appendChild(document.importNode(description.documentElement, True))
    return _HEAD + _written(document).encode() + _TAIL


def _parsed(xmp: bytes) -> minidom.Document:
    """The packet as a document with an rdf:RDF. Raises ValueError or ExpatError where it is damaged."""
    if codec := _WIDE.get(xmp[:2]):
        xmp = re.sub(r"^\ufeff?(<\?xml[^>]*\?>)?", "", xmp.decode(codec)).encode()
    text = xmp.strip(b"\0 \r\n\t") or _EMPTY
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise ValueError("it declares entities")
    document = minidom.parseString(text)
    _rdf(document)
    return document


def _rdf(document: minidom.Document) -> minidom.Element:
    found = document.getElementsByTagNameNS(_RDF, "RDF")
    if not found:
        raise ValueError("it holds no rdf:RDF")
    if len(found) > 1:
        raise ValueError("it holds several rdf:RDF")
    return found[0]


def _written(document: minidom.Document) -> str:
    """As XML; a newline of a value stays one."""
    for element in document.getElementsByTagName("*"):
        for attribute in element.attributes.values():
            attribute.value = attribute.value.translate(str.maketrans(_SPACES))
        for child in element.childNodes:
            if child.nodeType == child.TEXT_NODE:
                child.data = child.data.replace("\r", _SPACES["\r"])
    return document.documentElement.toxml().translate({ord(held): f"&#{ord(c)};" for c, held in _SPACES.items()})


def _elements(document: minidom.Document, namespace: str, key: str) -> list[minidom.Element]:
    """Those that state a property of the picture itself."""
    children = [node for description in _descriptions(document) for node in description.childNodes]
    return [node for node in children if (node.namespaceURI, node.localName) == (namespace, key)]


def _descriptions(document: minidom.Document) -> list[minidom.Element]:
    return [node for node in _rdf(document).childNodes if node.nodeType == node.ELEMENT_NODE]


def _about(document: minidom.Document) -> str:
    """What the packet is about: all its descriptions must say the same."""
    return next((node.getAttributeNS(_RDF, "about") for node in _descriptions(document)), "")


def _value(document: minidom.Document, namespace: str, key: str) -> str:
    """A simple property, written as an attribute or as an element; "" where there is none."""
    for description in _descriptions(document):
        if value := description.getAttributeNS(namespace, key):
            return value
    for node in _elements(document, namespace, key):
        if value := "".join(
            child.data for child in node.childNodes if child.nodeType in (node.TEXT_NODE, node.CDATA_SECTION_NODE)
        ):
            return value
    return ""


def _remove(document: minidom.Document, namespace: str, key: str) -> None:
    for description in _descriptions(document):
        if description.hasAttributeNS(namespace, key):
            description.removeAttributeNS(namespace, key)
        others = [node for node in description.childNodes if (node.namespaceURI, node.localName) != (namespace, key)]
        description.childNodes[:] = others  # removeChild takes a time that grows with the number of children


def _break_promises(document: minidom.Document) -> None:
    def promises(node: minidom.Node) -> bool:
        of_film = node.namespaceURI == _CAMERA and node.localName.startswith(_OF_FILMS)
        return of_film or node.namespaceURI in _PROMISES

    for description in _descriptions(document):
        for attribute in [node for node in description.attributes.values() if promises(node)]:
            description.removeAttributeNode(attribute)
        description.childNodes[:] = [node for node in description.childNodes if not promises(node)]


def _set(document: minidom.Document, namespace: str, key: str, value: str) -> None:
    """Change a property that is there, however it is written."""
    for description in _descriptions(document):
        if description.hasAttributeNS(namespace, key):
            description.getAttributeNodeNS(namespace, key).value = value
    for node in _elements(document, namespace, key):
        node.childNodes[:] = [document.createTextNode(value)]
