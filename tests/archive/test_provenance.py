"""Never mistaken for an original: the mark in a copy's XMP, its sidecar, verify, what is drawn, the contact sheet."""

import base64
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes
from xml.dom import minidom

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data
import tifffile
from helpers import ROOT
from helpers.tiny import config as tiny
from PIL import Image, PngImagePlugin, features

import colorjax
from colorjax import checkpoint, cli, photos
from colorjax.archive import marks, provenance, sidecar
from colorjax.archive import sheet as contact_sheet
from colorjax.networks import state

COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
NAMESPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "stRef": "http://ns.adobe.com/xap/1.0/sType/ResourceRef#",
    "stEvt": "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "my": "http://example.com/archive/1.0/",
}
HEIGHT, WIDTH = 48, 64


def name(qualified):
    """rdf:li -> {http://...}li, as ElementTree says it."""
    prefix, _, local = qualified.partition(":")
    return f"{{{NAMESPACES[prefix]}}}{local}"


# --- packets ---

DECLARED = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())


def packet(body, declared=DECLARED):
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 6.0.0"><rdf:RDF {declared}>{body}</rdf:RDF></x:xmpmeta>'


def wrapped(xml, padding=300):
    """As it lies in a file, with room to be edited in place."""
    head = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    return f'{head}\n{xml}\n{(" " * 99 + chr(10)) * (padding // 100)}<?xpacket end="w"?>'


ATTRIBUTES = packet("""
  <rdf:Description rdf:about="" xmp:CreatorTool="Adobe Photoshop Lightroom Classic 12.0 (Windows)" xmp:Rating="5"
    tiff:Orientation="6" photoshop:City="Z\u00fcrich &amp; &lt;Umgebung&gt; &quot;am See&quot; 'dort'"
    Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/negativeFilm"
    xmpMM:DocumentID="xmp.did:aa" xmpMM:InstanceID="xmp.iid:bb" xmpMM:OriginalDocumentID="CC">
   <dc:creator><rdf:Seq><rdf:li>Annemarie &amp; Co</rdf:li></rdf:Seq></dc:creator>
   <xmpMM:DerivedFrom stRef:instanceID="xmp.iid:older" stRef:documentID="older"/>
   <xmpMM:History><rdf:Seq>
     <rdf:li stEvt:action="derived" stEvt:parameters="converted from image/tiff to image/jpeg"/>
     <rdf:li stEvt:action="saved" stEvt:instanceID="xmp.iid:bb" stEvt:when="2021-05-01T10:00:00+02:00" stEvt:changed="/"/>
   </rdf:Seq></xmpMM:History>
  </rdf:Description>""")
ELEMENTS = packet("""
  <rdf:Description rdf:about="uuid:faf5bdd5"><dc:format>image/tiff</dc:format></rdf:Description>
  <rdf:Description rdf:about="uuid:faf5bdd5"><tiff:Orientation>8</tiff:Orientation><tiff:Make>Linhof</tiff:Make>
  </rdf:Description>
  <rdf:Description rdf:about="uuid:faf5bdd5">
    <xmpMM:DocumentID>uuid:ee</xmpMM:DocumentID>
    <xmpMM:InstanceID>uuid:ff</xmpMM:InstanceID>
    <xmpMM:History><rdf:Seq><rdf:li rdf:parseType="Resource"><stEvt:action>created</stEvt:action></rdf:li></rdf:Seq>
    </xmpMM:History>
  </rdf:Description>
  <rdf:Description rdf:about="uuid:faf5bdd5">
    <Iptc4xmpExt:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/print</Iptc4xmpExt:DigitalSourceType>
    <Iptc4xmpExt:LocationShown><rdf:Bag><rdf:li rdf:parseType="Resource"><Iptc4xmpExt:City>Lviv</Iptc4xmpExt:City></rdf:li>
    </rdf:Bag></Iptc4xmpExt:LocationShown>
  </rdf:Description>""")
LANGUAGES = packet("""
  <rdf:Description rdf:about=""><dc:title><rdf:Alt>
    <rdf:li xml:lang="x-default">Grandmother</rdf:li><rdf:li xml:lang="uk">\u0411\u0430\u0431\u0443\u0441\u044f</rdf:li>
    <rdf:li xml:lang="ja">\u7956\u6bcd</rdf:li><rdf:li xml:lang="ar">\u062c\u062f\u0629</rdf:li>
    <rdf:li xml:lang="x-emoji">\U0001f475\u200d\u2640</rdf:li>
  </rdf:Alt></dc:title><dc:rights>\u00a9 1931 &#x1F4F7;</dc:rights></rdf:Description>""")
FOREIGN = packet(
    """<!-- kept by hand --><?editor state?>
  <r:Description r:about="" q:signature="R 12/4"><q:box q:n="1"><q:shelf xmlns:w="urn:w"><w:row>3</w:row> mixed </q:shelf>
    </q:box><q:raw><![CDATA[<not> & markup ]] >]]></q:raw><q:note r:parseType="Literal"><b xmlns="urn:html">bold</b></q:note>
    <plain xmlns="urn:plain"><deeper/></plain></r:Description>""".replace("r:", "rdf:"),
    f'xmlns:rdf="{NAMESPACES["rdf"]}" xmlns:q="http://example.org/q"',
)
OTHER_PREFIX = ELEMENTS.replace("rdf:", "syntax:").replace("xmlns:rdf=", "xmlns:syntax=")
NO_PREFIX = re.sub(
    r"(</?)rdf:",
    r"\1",
    packet("<rdf:Description><dc:subject><rdf:Bag><rdf:li>a</rdf:li></rdf:Bag></dc:subject></rdf:Description>"),
).replace("<RDF ", f'<RDF xmlns="{NAMESPACES["rdf"]}" ')
PREFIXES_OF_OTHERS = packet(
    '<rdf:Description rdf:about="" xmpMM:DocumentID="theirs" Iptc4xmpExt:DigitalSourceType="theirs"><xmp:Rating>1</xmp:Rating>'
    "</rdf:Description>",
    f'xmlns:rdf="{NAMESPACES["rdf"]}" xmlns:xmpMM="urn:1" xmlns:Iptc4xmpExt="urn:2" xmlns:xmp="urn:3" xmlns:stRef="urn:4"',
)
PACKETS = {
    "attributes": ATTRIBUTES,
    "elements": ELEMENTS,
    "languages": LANGUAGES,
    "foreign": FOREIGN,
    "another rdf prefix": OTHER_PREFIX,
    "no rdf prefix": NO_PREFIX,
    "our prefixes for others": PREFIXES_OF_OTHERS,
    "no xmpmeta": re.sub(r"</?x:xmpmeta[^>]*>", "", ATTRIBUTES),
    "declared": '<?xml version="1.0" encoding="utf-8"?>' + ELEMENTS,
    "wrapped": wrapped(ATTRIBUTES),
    "no properties": packet(""),
}
ORIGIN = provenance.Origin("grandmother.jpg", "5e" * 32, provenance.SOURCE_TYPES[0], {"size": 256, "weights": "ab"})
OURS = {name(key) for key in ("Iptc4xmpExt:DigitalSourceType", "xmpMM:DerivedFrom", "xmpMM:DocumentID", "xmpMM:InstanceID")}
OURS |= {name(key) for key in ("Iptc4xmpExt:AISystemUsed", "Iptc4xmpExt:AISystemVersionUsed")}


def mark(xmp, origin=ORIGIN):
    """The packet with the mark; of the source nothing is lost."""
    result, notes = provenance.marked(xmp.encode() if isinstance(xmp, str) else xmp, origin)
    assert notes == ()
    return result


def descriptions(xmp):
    """The rdf:Description elements of a packet, which is well-formed."""
    tree = ET.fromstring(xmp)
    resources = [tree] if tree.tag == name("rdf:RDF") else tree.findall(name("rdf:RDF"))
    assert len(resources) == 1
    return list(resources[0])


def canonical(element):
    """A structure that says the same whatever the prefixes are."""
    attributes = tuple(sorted(element.attrib.items()))
    return element.tag, attributes, element.text or "", tuple((canonical(child), child.tail or "") for child in element)


def properties(xmp):
    """(name, value) of everything that a packet states, in the order of the names; a simple value is its text."""
    found = []
    for description in descriptions(xmp):
        found += [item for item in description.attrib.items() if item[0] != name("rdf:about")]
        for element in description:
            simple = not element.attrib and not len(element)
            found.append((element.tag, element.text or "" if simple else canonical(element)))
    return sorted(found, key=repr)


def values(xmp, key):
    return [value for found, value in properties(xmp) if found == name(key)]


def history(xmp):
    """The entries of a packet's history, of which there is at most one; each as {property: value}."""
    found = [element for description in descriptions(xmp) for element in description.findall(name("xmpMM:History"))]
    assert len(found) <= 1
    entries = found[0].findall(f"{name('rdf:Seq')}/{name('rdf:li')}") if found else []
    return [dict(entry.attrib) | {child.tag: child.text for child in entry} for entry in entries]


def derived_from(xmp):
    (element,) = (found for description in descriptions(xmp) for found in description.findall(name("xmpMM:DerivedFrom")))
    return {child.tag: child.text for child in element}


def check_marked(xmp, uri=COMPOSITE):
    """Whatever it was made of, it is a whole packet that says what the copy is."""
    assert xmp.startswith(b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n')
    assert xmp.endswith(b'<?xpacket end="w"?>')
    assert values(xmp, "Iptc4xmpExt:DigitalSourceType") == [uri]
    assert provenance.source_type(xmp) == uri
    for key in ("xmpMM:DerivedFrom", "xmpMM:DocumentID", "xmpMM:InstanceID"):
        assert len(values(xmp, key)) == 1
    assert history(xmp)[-1][name("stEvt:action")] == "edited"
    assert history(xmp)[-1][name("stEvt:softwareAgent")] == f"colorjax {colorjax.__version__}"


each_packet = pytest.mark.parametrize("xml", PACKETS.values(), ids=PACKETS)

# --- the mark in a packet ---


def test_without_a_packet_there_is_a_new_one():
    for nothing in (b"", b"\0" * 9, b" \r\n\t"):
        marked = mark(nothing)
        check_marked(marked)
        assert len(history(marked)) == 1
        assert values(marked, "xmp:CreatorTool") == [f"colorjax {colorjax.__version__}"]
        assert not values(marked, "tiff:Orientation")
        expected = {"stRef:documentID": f"sha256:{ORIGIN.sha256}", "stRef:filePath": "grandmother.jpg"}
        assert derived_from(marked) == {name(key): value for key, value in expected.items()}


@each_packet
def test_the_mark_is_set_once(xml):
    check_marked(mark(xml))


@each_packet
def test_all_else_of_a_packet_is_kept(xml):
    def others(xmp):
        changed = OURS | {name(key) for key in ("xmpMM:History", "xmp:CreatorTool", "tiff:Orientation")}
        return [item for item in properties(xmp) if item[0] not in changed]

    marked = mark(xml)
    assert others(marked) == others(xml)
    assert values(marked, "xmp:CreatorTool") == values(xml, "xmp:CreatorTool") or not values(xml, "xmp:CreatorTool")
    assert values(marked, "tiff:Orientation") == ["1"] * len(values(xml, "tiff:Orientation"))


@each_packet
def test_the_history_grows_by_one(xml):
    marked = mark(xml)
    assert history(marked)[:-1] == history(xml)
    assert json.dumps(ORIGIN.settings, sort_keys=True) in history(marked)[-1][name("stEvt:parameters")]


@each_packet
def test_the_copy_derives_from_the_ids_of_the_source(xml):
    expected = {"stRef:documentID": f"sha256:{ORIGIN.sha256}", "stRef:filePath": "grandmother.jpg"}
    for key in ("DocumentID", "InstanceID", "OriginalDocumentID"):
        for value in values(xml, f"xmpMM:{key}"):
            expected[f"stRef:{key[0].lower()}{key[1:]}"] = value
    marked = mark(xml)
    assert derived_from(marked) == {name(key): value for key, value in expected.items()}
    assert not set(values(marked, "xmpMM:DocumentID")) & set(values(xml, "xmpMM:DocumentID"))
    assert not set(values(marked, "xmpMM:InstanceID")) & set(values(xml, "xmpMM:InstanceID"))


@each_packet
def test_all_descriptions_are_about_the_same(xml):
    about = {description.get(name("rdf:about"), "") for description in descriptions(mark(xml))}
    assert about == ({"uuid:faf5bdd5"} if "faf5bdd5" in xml else {""})


HDR, GOOGLE = "http://ns.adobe.com/hdr-gain-map/1.0/", "http://ns.google.com/photos/1.0"
PROMISING = packet(
    """<rdf:Description rdf:about="" xmp:Rating="4" hdrgm:Version="1.0" cam:MotionPhoto="1" cam:MicroVideoOffset="99"
      cam:Make="kept"><con:Directory><rdf:Seq><rdf:li rdf:parseType="Resource"><con:Item item:Semantic="GainMap"/></rdf:li>
      </rdf:Seq></con:Directory><cam:MotionPhotoVersion>1</cam:MotionPhotoVersion><hdrgm:GainMapMax>2</hdrgm:GainMapMax>
      <xmp:Label>blue</xmp:Label></rdf:Description>""",
    f'{DECLARED} xmlns:hdrgm="{HDR}" xmlns:cam="{GOOGLE}/camera/" xmlns:con="{GOOGLE}/container/" '
    f'xmlns:item="{GOOGLE}/container/item/"',
)


def test_what_promises_a_gain_map_or_a_film_is_not_said_of_a_copy():
    marked = mark(PROMISING)
    check_marked(marked)
    said = {key for key, _ in properties(marked)}
    assert not [key for key in said if HDR in key or "container" in key or "Motion" in key or "MicroVideo" in key]
    assert (values(marked, "xmp:Rating"), values(marked, "xmp:Label")) == (["4"], ["blue"])
    assert f"{{{GOOGLE}/camera/}}Make" in said


@each_packet
def test_a_copy_may_be_marked_again(xml):
    once = mark(xml)
    again = provenance.Origin("copy.jpg", "77" * 32, "trainedAlgorithmicMedia", {})
    twice = mark(once, again)
    check_marked(twice, COMPOSITE.replace("compositeWithT", "t"))
    assert len(history(twice)) == len(history(xml)) + 2
    assert derived_from(twice)[name("stRef:documentID")] == f"xmp.did:{ORIGIN.identifier}"
    assert derived_from(twice)[name("stRef:filePath")] == "copy.jpg"
    assert values(twice, "xmpMM:DocumentID") == [f"xmp.did:{again.identifier}"]


def test_the_same_packet_gives_the_same_bytes():
    first = {key: mark(xml) for key, xml in PACKETS.items()}
    assert first == {key: mark(PACKETS[key]) for key in reversed(PACKETS)}
    assert len(set(first.values())) > len(first) - 3


def test_the_bytes_do_not_depend_on_the_process():
    program = (
        "import sys, hashlib; from colorjax.archive import provenance as p\n"
        "o = p.Origin('a', 'b', p.SOURCE_TYPES[0], {'c': 1, 'd': 2})\n"
        "print(hashlib.sha256(p.marked(sys.stdin.buffer.read(), o)[0]).hexdigest())"
    )
    answers = set()
    for seed in "01":
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", program]
        answers.add(subprocess.run(command, input=ATTRIBUTES.encode(), capture_output=True, env=environment, check=True).stdout)
    assert len(answers) == 1
    assert answers != {b""}


def test_the_identifiers_are_those_of_source_and_settings():
    def ids(**changes):
        about = {"name": "a", "sha256": "b", "source_type": provenance.SOURCE_TYPES[0], "settings": {"size": 1}} | changes
        marked = mark(ATTRIBUTES, provenance.Origin(**about))
        return values(marked, "xmpMM:DocumentID") + values(marked, "xmpMM:InstanceID")

    assert ids() == ids(name="renamed")
    assert not set(ids()) & set(ids(sha256="c"))
    assert not set(ids()) & set(ids(settings={"size": 2}))


ENCODINGS = {
    "UTF-8 with BOM": lambda xml: xml.encode("utf-8-sig"),
    "UTF-8, wrapped, padded with zeros": lambda xml: wrapped(xml).encode() + bytes(99),
    "UTF-8 with BOM, wrapped": lambda xml: wrapped(xml).encode("utf-8-sig"),
    "UTF-16 of little end with BOM": lambda xml: ("\ufeff" + xml).encode("utf-16-le"),
    "UTF-16 of big end with BOM": lambda xml: ("\ufeff" + xml).encode("utf-16-be"),
    "UTF-16 of little end with BOM, wrapped": lambda xml: ("\ufeff" + wrapped(xml)).encode("utf-16-le"),
    "UTF-16 of big end with BOM, wrapped": lambda xml: ("\ufeff" + wrapped(xml)).encode("utf-16-be"),
}


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_however_a_packet_is_encoded_it_is_kept(encode):
    assert mark(encode(LANGUAGES)) == mark(LANGUAGES)


def test_newlines_and_tabs_of_a_value_are_kept():
    lines = "first&#xA;second&#x9;tab&#xD;&#xA;third"
    xml = packet(f'<rdf:Description photoshop:Instructions="{lines}"><dc:source>{lines}</dc:source></rdf:Description>')
    for key in ("photoshop:Instructions", "dc:source"):
        assert values(xml, key) == ["first\nsecond\ttab\r\nthird"]
        assert values(mark(xml), key) == values(xml, key)


ENTRY = '<rdf:li rdf:parseType="Resource"><stEvt:action>created</stEvt:action></rdf:li>'
HISTORY = f"<xmpMM:History><rdf:Seq>{ENTRY}</rdf:Seq></xmpMM:History>"
PANTRY = f"<xmpMM:Pantry><rdf:Bag><rdf:li><rdf:Description>{HISTORY}</rdf:Description></rdf:li></rdf:Bag></xmpMM:Pantry>"


@pytest.mark.parametrize(
    ("body", "entries"),
    [(PANTRY + HISTORY, 1), (PANTRY, 0), ("<xmpMM:History/>", 0), ("<xmpMM:History><rdf:Seq/></xmpMM:History>", 0)],
    ids=["beside that of a part", "only of a part", "empty", "of no entries"],
)
def test_the_history_of_the_picture_itself_grows(body, entries):
    marked = mark(packet(f"<rdf:Description>{body}</rdf:Description>"))
    assert len(history(marked)) == entries + 1
    check_marked(marked)
    assert values(marked, "xmpMM:Pantry") == values(packet(f"<rdf:Description>{body}</rdf:Description>"), "xmpMM:Pantry")


def test_a_history_that_is_a_bag_is_not_doubled():
    bag = HISTORY.replace("rdf:Seq", "rdf:Bag")
    marked = mark(packet(f"<rdf:Description>{bag}</rdf:Description>"))
    assert len(values(marked, "xmpMM:History")) == 1
    assert marked.count(b"stEvt:action>created<") == 1
    assert marked.count(b"stEvt:action>edited<") == 1


ORIENTATIONS = {
    "attribute": '<rdf:Description tiff:Orientation="6"/>',
    "element": "<rdf:Description><tiff:Orientation>6</tiff:Orientation></rdf:Description>",
    "both": '<rdf:Description tiff:Orientation="6"/><rdf:Description><tiff:Orientation>3</tiff:Orientation></rdf:Description>',
    "after a comment": "<rdf:Description><tiff:Orientation><!-- turned -->6</tiff:Orientation></rdf:Description>",
    "in two pieces": "<rdf:Description><tiff:Orientation>6<!-- turned --> </tiff:Orientation></rdf:Description>",
    "upright": '<rdf:Description tiff:Orientation="1"/>',
}


@pytest.mark.parametrize("body", ORIENTATIONS.values(), ids=ORIENTATIONS)
def test_the_pixels_are_upright(body):
    found = values(mark(packet(body)), "tiff:Orientation")
    assert found
    assert {value.strip() for value in found} == {"1"}


def test_every_legal_source_type_can_be_set():
    assert provenance.SOURCE_TYPES[0] == "compositeWithTrainedAlgorithmicMedia"
    for kind in provenance.SOURCE_TYPES:
        uri = COMPOSITE.rpartition("/")[0] + "/" + kind
        assert provenance.source_type_uri(kind) == uri
        check_marked(mark(ATTRIBUTES, provenance.Origin("a", "b", kind, {})), uri)
    with pytest.raises(ValueError, match=r"'digitalCapture' is unknown; legal are compositeWith\w+, trained\w+, \w+Enhanced"):
        provenance.source_type_uri("digitalCapture")


def test_the_source_type_of_a_packet_is_read():
    assert provenance.source_type(ATTRIBUTES.encode()).endswith("/negativeFilm")
    assert provenance.source_type(ELEMENTS.encode()).endswith("/print")
    for without in (b"", LANGUAGES.encode(), b"damaged <", b"\xff" * 99):
        assert provenance.source_type(without) == ""


# --- hostile packets and names ---

SECRET = "the secret of another file"
ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">%s]>' % "".join(  # noqa: UP031
    f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(10)
)
BOMB = ENTITIES + packet("<rdf:Description><dc:source>&k;</dc:source></rdf:Description>")
EXTERNAL = '<!DOCTYPE x [<!ENTITY k SYSTEM "%s">]>' + packet("<rdf:Description><dc:source>&k;</dc:source></rdf:Description>")
DAMAGED = {
    "a bomb": BOMB.encode(),
    "a bomb in UTF-16": BOMB.encode("utf-16"),
    "a bomb in UTF-16 of big end": ("\ufeff" + BOMB).encode("utf-16-be"),
    "an external DTD": b'<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">' + ELEMENTS.encode(),
    "an entity of no declaration": packet('<rdf:Description dc:source="&nbsp;"/>').encode(),
    "broken UTF-8": ELEMENTS.encode().replace(b"Linhof", b"Lin\xff\xc3hof"),
    "cut UTF-8": packet("<rdf:Description/>").encode()[:-9] + b"\xe2\x82",
    "half a packet": ATTRIBUTES.encode()[:900],
    "control characters": ELEMENTS.replace("Linhof", "Lin\x01\x1bhof").encode(),
    "a zero inside": ELEMENTS.replace("Linhof", "Lin\0hof").encode(),
    "a prefix of no namespace": packet("<rdf:Description><zz:q>1</zz:q></rdf:Description>").encode(),
    "no RDF": b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>",
    "other XML": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "an unknown encoding": b'<?xml version="1.0" encoding="no-such"?>' + ELEMENTS.encode(),
    "an encoding that is none": b'<?xml version="1.0" encoding="hex"?>' + ELEMENTS.encode(),
    "an encoding of several bytes": b'<?xml version="1.0" encoding="euc-jp"?>' + ELEMENTS.encode(),
    "all bytes": bytes(range(256)),
    "a lone BOM": b"\xef\xbb\xbf",
    "JSON": b'{"a": 1}',
    "20,000 deep": packet(f"<rdf:Description>{'<my:a>' * 20000}{'</my:a>' * 20000}</rdf:Description>").encode(),
}


def taken(work):
    """Its result, and the seconds of the processor that it takes this thread."""
    start = time.thread_time()
    return work(), time.thread_time() - start


def check_quick(work, seconds):
    """Its result; it does not take longer, or not the second or third time: what else the machine does makes it slower."""
    for _ in range(3):
        result, longest = taken(work)
        if longest < seconds:
            return result
    pytest.fail(f"it takes {longest:.2f} s, and may take {seconds:.2f}")


@pytest.mark.parametrize("xmp", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_packet_is_said_and_replaced(xmp):
    marked, notes = check_quick(lambda: provenance.marked(xmp, ORIGIN), 5)
    check_marked(marked)
    assert marked == mark(b"")
    (note,) = notes
    assert re.fullmatch(r"its XMP, which is damaged \(.+\)", note)
    assert len(note) < 200
    assert photos.legible(note) == note


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_an_external_entity_is_never_read(tmp_path, encoding):
    (tmp_path / "secret").write_text(SECRET)
    for system in ((tmp_path / "secret").as_uri(), str(tmp_path / "secret")):
        marked, notes = provenance.marked((EXTERNAL % system).encode(encoding), ORIGIN)
        check_marked(marked)
        assert SECRET.encode() not in marked
        assert notes


def test_entities_in_utf_16_are_not_expanded():
    small = '<!DOCTYPE x [<!ENTITY k "%s">]>' % ("a" * 1000) + packet(f"<rdf:Description dc:source='{'&k;' * 1000}'/>")
    marked, notes = provenance.marked(("\ufeff" + small).encode("utf-16-be"), ORIGIN)
    assert len(marked) < 10_000
    assert notes


def check_time_of_parsing(xmp, times):
    """The marked packet; marking takes not more than so many times what reading it takes, on whatever processor."""
    seconds = min(taken(lambda: minidom.parseString(xmp).unlink())[1] for _ in range(3))
    return check_quick(lambda: mark(xmp), times * seconds)


def test_megabytes_of_text_are_kept():
    lines = "a line of text &amp; more\n" * 160_000
    marked = check_quick(lambda: mark(packet(f"<rdf:Description><dc:source>{lines}</dc:source></rdf:Description>")), 10)
    assert values(marked, "dc:source") == [lines.replace("&amp;", "&")]


def test_thousands_of_marks_become_one():
    many = "<Iptc4xmpExt:DigitalSourceType>capture</Iptc4xmpExt:DigitalSourceType> \n" * 30_000
    # It takes 2 to 2.6 times the time of reading; with the marks removed one by one, 19.
    check_marked(check_time_of_parsing(packet(f"<rdf:Description>{many}</rdf:Description>"), 9))


def test_thousands_of_properties_are_kept():
    many = "".join(f"<my:p{i}>{i}</my:p{i}>" for i in range(20_000))
    marked = check_quick(lambda: mark(packet(f"<rdf:Description>{many}</rdf:Description>")), 5)
    assert sum(key.startswith(name("my:p")) for key, _ in properties(marked)) == 20_000


@pytest.mark.parametrize("seed", range(4))
def test_flipped_bytes_never_stop_the_mark(seed):
    rng = np.random.default_rng(seed)
    whole = (ATTRIBUTES, ELEMENTS, wrapped(LANGUAGES), FOREIGN)[seed].encode()
    said = 0
    for _ in range(150):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), rng.integers(1, 4)):
            damaged[place] = rng.choice(list(b"<>&\"'/:= \0\xff") + list(range(256)))
        if rng.random() < 0.3:
            del damaged[rng.integers(0, len(whole)) :]
        marked, notes = provenance.marked(bytes(damaged), ORIGIN)
        assert values(marked, "Iptc4xmpExt:DigitalSourceType") == [COMPOSITE]
        said += len(notes)
    assert 50 < said <= 150


def test_a_packet_with_two_resources_states_one_source_type():
    one = packet('<rdf:Description Iptc4xmpExt:DigitalSourceType="digitalCapture"/>')
    two = one.replace("</rdf:RDF>", f"</rdf:RDF><rdf:RDF {DECLARED}><rdf:Description xmp:Rating='1' ") + "/>"
    two = two.replace("</x:xmpmeta>/>", "") + 'Iptc4xmpExt:DigitalSourceType="digitalCapture"/></rdf:RDF></x:xmpmeta>'
    ET.fromstring(two)
    marked, _ = provenance.marked(two.encode(), ORIGIN)
    assert b"digitalCapture" not in marked
    assert marked.count(COMPOSITE.encode()) == 1


@pytest.mark.parametrize(
    "hostile",
    [
        "a\0b\x1b[31m.jpg",
        "\"quoted' & <b>.jpg",
        "]]><!-- -->.jpg",
        "two\nlines\r\n.jpg",
        "\udcff\ud800.jpg",
        "\ufffe\uffff.jpg",
        "&#0;&k;.jpg",
        "a" * 5000,
        "",
    ],
)
def test_a_hostile_name_is_only_text(hostile):
    settings = {"burn_in": hostile, "size": 1}
    marked = mark(ELEMENTS, provenance.Origin(hostile, "ab" * 32, provenance.SOURCE_TYPES[0], settings))
    check_marked(marked)
    assert (derived_from(marked)[name("stRef:filePath")] or "") == photos.legible(hostile)
    said = history(marked)[-1][name("stEvt:parameters")].partition(": ")[2]
    assert json.loads(said) == settings


# --- the console: fixtures ---

SOURCES = {
    "cat.jpg": "cat.colorized.jpg",
    "grey.png": "grey.colorized.png",
    "rgb.png": "rgb.colorized.png",
    "deep.png": "deep.colorized.png",
    "scan.tif": "scan.colorized.tif",
    "pages.tif": "pages.colorized.tif",
    "photo.webp": "photo.colorized.webp",
    "exact.webp": "exact.colorized.webp",
    "under/old.bmp": "under/old.colorized.png",
} | ({"photo.avif": "photo.colorized.avif"} if features.check("avif") else {})
WITH_XMP = ("cat.jpg", "rgb.png", "scan.tif", "photo.webp", "photo.avif")
each_source = pytest.mark.parametrize("source", SOURCES)


def scene():
    return np.ascontiguousarray(skimage.data.chelsea()[100 : 100 + HEIGHT, 100 : 100 + WIDTH])


def deep_scene():
    noise = np.random.default_rng(0).integers(0, 200, (HEIGHT, WIDTH, 3))
    return (scene().astype(np.uint16) * 257).clip(0, 65000) + noise.astype(np.uint16)


def fill_album(folder):
    (folder / "under").mkdir(parents=True)
    cat, xmp = Image.fromarray(scene()), wrapped(LANGUAGES.replace("<dc:rights>", "<xmp:Rating>4</xmp:Rating><dc:rights>"))
    xmp = xmp.encode()
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp.decode())
    cat.save(folder / "cat.jpg", quality=95, xmp=xmp)
    cat.convert("L").save(folder / "grey.png")
    cat.save(folder / "rgb.png", pnginfo=text)
    photos.write(folder / "deep.png", deep_scene())
    cat.save(folder / "scan.tif", tiffinfo={700: xmp})
    with tifffile.TiffWriter(folder / "pages.tif") as writer:
        for page in (deep_scene(), deep_scene()[::-1], deep_scene()[:, ::-1, 1]):
            writer.write(page, photometric="minisblack" if page.ndim == 2 else "rgb", metadata=None)
    cat.save(folder / "photo.webp", quality=95, xmp=xmp)
    cat.save(folder / "exact.webp", lossless=True, exact=True)
    cat.save(folder / "under" / "old.bmp")
    if "photo.avif" in SOURCES:
        cat.save(folder / "photo.avif", quality=95, xmp=xmp)


def released(folder, seed):
    """The smallest network, with random weights and much colour."""
    config, rng = tiny(model__name="shallow"), np.random.default_rng(seed)
    shapes, stats = jax.eval_shape(lambda: state.init_network(config.model, jax.random.key(0)))

    def random(leaf):
        scale = np.prod(leaf.shape[:-1]) ** -0.5 if len(leaf.shape) > 1 else 0.05
        return jnp.asarray(rng.normal(0, scale, leaf.shape), jnp.float32)

    params = jax.tree.map(random, shapes)
    params["head"]["kernel"] *= 8
    checkpoint.export(checkpoint.Network(config, params, stats, Path("random")), folder)
    return folder


@pytest.fixture(scope="session")
def release(tmp_path_factory):
    return released(tmp_path_factory.mktemp("released") / "weights", 5)


@pytest.fixture(scope="session")
def other_release(tmp_path_factory):
    return released(tmp_path_factory.mktemp("released") / "others", 6)


def colorize(release, *arguments):
    return cli.main(["colorize", *map(str, arguments), "--ckpt", str(release)])


@pytest.fixture(scope="session")
def coloured(release, tmp_path_factory):
    """album/ and the copies of it in out/; nobody changes them."""
    root = tmp_path_factory.mktemp("coloured")
    fill_album(root / "album")
    before = digests(root / "album")
    assert colorize(release, root / "album", "--out", root / "out") == 0
    assert digests(root / "album") == before
    return root


@pytest.fixture(scope="session")
def guessed(release, tmp_path_factory):
    """The same for a few photographs and with uncertainty maps."""
    root = tmp_path_factory.mktemp("guessed")
    fill_album(root / "all")
    (root / "album").mkdir()
    for kept in ("cat.jpg", "grey.png", "pages.tif"):
        shutil.copy2(root / "all" / kept, root / "album")
    assert colorize(release, root / "album", "--out", root / "out", "--uncertainty") == 0
    return root


@pytest.fixture
def made(coloured, tmp_path):
    """A copy of `coloured` that a test may damage."""
    return shutil.copytree(coloured, tmp_path / "made")


def run(capsys, *arguments):
    """(exit code, stdout, stderr) of the command."""
    capsys.readouterr()
    code = cli.main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def digests(folder):
    stats = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    return {path: (sha256(path), changed) for path, changed in stats.items()}


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sidecar_of(made, source):
    return made / "out" / f"{SOURCES[source]}.json"


def about(path):
    return json.loads(path.read_bytes())


def edit(path, change):
    """Change what a sidecar says."""
    said = about(path)
    change(said)
    path.write_text(json.dumps(said))


def rewrite(copy, change):
    """Put other pages into a copy, and its new hash into the sidecar, as somebody would who wants to deceive."""
    pages = list(photos.pages(copy))
    with photos.atomic(copy) as stream:
        photos.encode(stream, photos.file_format(copy), [(image, pages[0]) for image in change([p.image for p in pages])])
    edit(copy.with_name(copy.name + ".json"), lambda said: said["copy"].update(sha256=sha256(copy)))


def packets_in(path):
    """The XMP of each page of a picture, as Pillow reads it."""
    with Image.open(path) as picture:
        for index in range(getattr(picture, "n_frames", 1)):
            picture.seek(index)
            picture.load()
            yield picture.info["xmp"]


def check_verified(outcome, *words):
    """Verify has found something and says it in one line for each sidecar."""
    code, out, err = outcome
    assert code == 1
    assert err == ""
    assert "Traceback" not in out
    for word in words:
        assert str(word) in out


# --- the console: the copy and its sidecar ---


@each_source
def test_a_copy_says_what_it_is(coloured, source):
    found = list(packets_in(coloured / "out" / SOURCES[source]))
    assert len(found) == (3 if source == "pages.tif" else 1)
    for xmp in found:
        check_marked(xmp)
        assert derived_from(xmp)[name("stRef:documentID")] == f"sha256:{sha256(coloured / 'album' / source)}"
        assert derived_from(xmp)[name("stRef:filePath")] == Path(source).name
        assert checkpointed(coloured, source) in history(xmp)[-1][name("stEvt:parameters")]


def checkpointed(made, source):
    return about(sidecar_of(made, source))["weights"]["sha256"]


@pytest.mark.parametrize("source", [source for source in WITH_XMP if source in SOURCES])
def test_a_copy_keeps_the_words_of_its_source(coloured, source):
    (xmp,) = packets_in(coloured / "out" / SOURCES[source])
    assert values(xmp, "dc:title") == values(LANGUAGES, "dc:title")
    assert values(xmp, "dc:rights") == ["\u00a9 1931 \U0001f4f7"]
    assert values(xmp, "xmp:Rating") == ["4"]


@each_source
def test_a_sidecar_says_what_a_copy_was_made_of(coloured, release, source):
    path = sidecar_of(coloured, source)
    said, file = about(path), coloured / "album" / source
    assert said["schema"] == "colorjax-sidecar-1"
    assert said["colorjax"] == colorjax.__version__
    assert said["source"]["name"] == file.name
    assert said["source"]["sha256"] == sha256(file)
    assert (path.parent / said["source"]["path"]).samefile(file)
    assert not Path(said["source"]["path"]).is_absolute()
    assert said["source"]["pixels_sha256"] == sidecar.pixel_digest_of(file, said, photos.MAX_PIXELS)
    copy = coloured / "out" / SOURCES[source]
    assert said["copy"] == {"name": copy.name, "sha256": sha256(copy), "bytes": copy.stat().st_size}
    assert said["weights"] == {"name": "weights", "sha256": checkpoint.load(release).digest}
    settings = {"size": 32, "flip": False, "strength": 1.0, "quality": 95, "burn_in": None}
    assert said["settings"] == settings | {"format": photos.file_format(SOURCES[source])}
    here = {"platform": "cpu", "kind": jax.devices()[0].device_kind, "jax": jax.__version__}
    assert said["device"] == here | colorjax.Colorizer.from_checkpoint(release).engine.about
    assert said["digital_source_type"] == COMPOSITE
    assert said["not_carried"] == []
    assert len(said["pages"]) == (3 if source == "pages.tif" else 1)
    for page in said["pages"]:
        assert (page["width"], page["height"]) == (WIDTH, HEIGHT)
        assert page["bits"] == (16 if source in ("deep.png", "pages.tif") else 8)
        assert page["mean_chroma"] > 1
        assert "burnt_in" not in page
        assert "map" not in page


def test_a_sidecar_says_other_settings_too(capsys, coloured, release, tmp_path):
    arguments = ("--size", 64, "--flip", "--strength", 0.5, "--quality", 80, "--format", "jpeg")
    code, _, _ = run(capsys, "colorize", coloured / "album/deep.png", "--out", tmp_path, "--ckpt", release, *arguments)
    assert code == 0
    said = about(tmp_path / "deep.colorized.jpg.json")
    settings = {"size": 64, "flip": True, "strength": 0.5, "quality": 80, "burn_in": None}
    assert said["settings"] == settings | {"format": said["settings"]["format"]}
    assert said["not_carried"] == ["8 of its 16 bits"]


def test_a_sidecar_says_what_the_source_was(capsys, coloured, release, tmp_path):
    Image.fromarray(scene()).save(tmp_path / "a.jpg", xmp=ATTRIBUTES.encode())
    assert run(capsys, "colorize", tmp_path / "a.jpg", "--out", tmp_path, "--ckpt", release)[0] == 0
    said = about(tmp_path / "a.colorized.jpg.json")
    assert said["pages"][0]["digital_source_type"].endswith("/negativeFilm")
    assert said["digital_source_type"] == COMPOSITE
    assert about(sidecar_of(coloured, "grey.png"))["pages"][0]["digital_source_type"] == ""


def test_a_damaged_packet_is_said_in_the_sidecar_and_on_the_console(capsys, release, tmp_path):
    Image.fromarray(scene()).save(tmp_path / "a.jpg", xmp=b"<x:xmpmeta")
    code, _, err = run(capsys, "colorize", tmp_path / "a.jpg", "--out", tmp_path, "--ckpt", release)
    assert code == 0
    assert "a.jpg: not carried: its XMP, which is damaged (" in err
    assert about(tmp_path / "a.colorized.jpg.json")["not_carried"][0].startswith("its XMP, which is damaged (")
    (xmp,) = packets_in(tmp_path / "a.colorized.jpg")
    check_marked(xmp)


def test_the_same_command_gives_the_same_bytes(capsys, made, release):
    sibling, deeper = made / "again", made / "another" / "place"
    for out in (sibling, deeper):
        assert run(capsys, "colorize", made / "album", "--out", out, "--ckpt", release)[0] == 0
        assert files(out) == files(made / "out")
    for path in files(sibling):
        expected = (made / "out" / path).read_bytes()
        assert (sibling / path).read_bytes() == expected, path
        if not path.endswith(".json"):
            assert (deeper / path).read_bytes() == expected, path
            continue
        said, other = about(sibling / path), about(deeper / path)
        assert other["source"].pop("path") == "../" + said["source"].pop("path")
        assert other == said


def test_no_command_touches_a_source(capsys, made, release):
    before = digests(made / "album")
    for arguments in (("verify", made / "out"), ("sheet", made / "out"), ("sheet", made / "out", "--out", made / "page.html")):
        assert run(capsys, *arguments)[0] == 0
    assert run(capsys, "colorize", made / "album", "--out", made / "album", "--ckpt", release, "--burn-in", "AI")[0] == 0
    assert {path: digest for path, digest in digests(made / "album").items() if path in before} == before


# --- verify ---


def test_what_was_made_is_as_it_says(capsys, coloured, release):
    code, out, err = run(capsys, "verify", coloured / "out")
    assert (code, err) == (0, "")
    assert sorted(out.splitlines()) == sorted(f"{sidecar_of(coloured, source)}: as it says" for source in SOURCES)
    for source in SOURCES:
        path = sidecar_of(coloured, source)
        assert run(capsys, "verify", path, "--ckpt", release) == (0, f"{path}: as it says\n", "")


def test_what_was_made_may_be_moved_with_its_sources(capsys, made, tmp_path):
    (tmp_path / "moved").mkdir()
    made.rename(tmp_path / "moved" / "away")
    assert run(capsys, "verify", tmp_path / "moved" / "away" / "out")[0] == 0


@pytest.mark.parametrize("form", ["jpeg", "png", "tiff", "webp", "jp2", "jxl"] + ["avif"] * features.check("avif"))
def test_copies_of_every_format_verify(capsys, coloured, release, tmp_path, form):
    sources = [coloured / "album" / source for source in ("cat.jpg", "grey.png", "deep.png", "photo.webp")]
    for source in sources:
        run(capsys, "colorize", source, "--out", tmp_path / source.suffix, "--ckpt", release, "--format", form)
    code, out, _ = run(capsys, "verify", tmp_path)
    assert (code, out.count("as it says"), len(out.splitlines())) == (0, len(sources), len(sources)), out


@pytest.mark.parametrize("quality", [1, 40, 100])
def test_copies_of_every_quality_verify(capsys, coloured, release, tmp_path, quality):
    for form in ("jpeg", "webp"):
        run(
            capsys,
            "colorize",
            coloured / "album/cat.jpg",
            "--out",
            tmp_path,
            "--ckpt",
            release,
            "--quality",
            quality,
            "--format",
            form,
        )
    code, out, _ = run(capsys, "verify", tmp_path)
    assert (code, out.count("as it says")) == (0, 2), out


def test_copies_with_transparent_parts_verify(capsys, release, tmp_path):
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    alpha[:, :16] = 255
    picture = Image.fromarray(np.dstack([scene(), alpha]))
    picture.save(tmp_path / "a.png")
    picture.save(tmp_path / "b.webp", quality=90, exact=True)
    assert run(capsys, "colorize", tmp_path, "--out", tmp_path / "out", "--ckpt", release)[0] == 0
    code, out, _ = run(capsys, "verify", tmp_path / "out")
    assert (code, out.count("as it says")) == (0, 2), out


def test_the_folder_of_the_copies_may_be_a_link(capsys, coloured, release, tmp_path):
    (tmp_path / "far" / "away" / "disk").mkdir(parents=True)
    (tmp_path / "out").symlink_to(tmp_path / "far" / "away" / "disk")
    assert run(capsys, "colorize", coloured / "album/cat.jpg", "--out", tmp_path / "out", "--ckpt", release)[0] == 0
    for folder in (tmp_path / "out", tmp_path / "far" / "away" / "disk"):
        path = folder / "cat.colorized.jpg.json"
        assert run(capsys, "verify", path)[:2] == (0, f"{path}: as it says\n")
        assert run(capsys, "sheet", folder)[0] == 0
        (row,) = Sheet(folder / "sheet.html").rows
        assert os.path.samefile(linked(row[0], folder / "sheet.html"), coloured / "album" / "cat.jpg")


def test_large_pictures_are_verified_without_a_warning(capsys, made, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", HEIGHT * WIDTH * 2 // 3)  # as for 134 megapixels beside Pillow's own 89
    for source in ("cat.jpg", "deep.png"):
        assert run(capsys, "verify", sidecar_of(made, source)) == (0, f"{sidecar_of(made, source)}: as it says\n", "")
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", HEIGHT * WIDTH * 2 // 3)
    assert run(capsys, "sheet", made / "out")[0] == 0


@each_source
def test_a_changed_byte_of_the_copy_is_found(capsys, made, source):
    copy = made / "out" / SOURCES[source]
    content = bytearray(copy.read_bytes())
    content[-20] ^= 1
    copy.write_bytes(content)
    check_verified(
        run(capsys, "verify", sidecar_of(made, source)), f"the copy {copy} has changed: SHA-256 is {sha256(copy)[:12]}"
    )


@each_source
def test_a_changed_source_is_found(capsys, made, source):
    path, file = sidecar_of(made, source), made / "album" / source
    Image.fromarray(scene()[::-1]).save(file)
    check_verified(
        run(capsys, "verify", path), "the source ", Path(source).name, f"has changed: SHA-256 is {sha256(file)[:12]}"
    )


@pytest.mark.parametrize("kind", ["copy", "source", "both"])
def test_a_missing_file_is_named(capsys, made, kind):
    path = sidecar_of(made, "cat.jpg")
    if kind in ("copy", "both"):
        (made / "out" / "cat.colorized.jpg").unlink()
    if kind in ("source", "both"):
        (made / "album" / "cat.jpg").unlink()
    outcome = run(capsys, "verify", path)
    check_verified(outcome)
    assert ("cat.colorized.jpg is not there" in outcome[1]) == (kind != "source")
    assert ("cat.jpg is not there" in outcome[1]) == (kind != "copy")


@each_source
def test_another_picture_with_a_forged_hash_is_found(capsys, made, source):
    rewrite(made / "out" / SOURCES[source], lambda pages: [page[::-1] for page in pages])
    check_verified(run(capsys, "verify", sidecar_of(made, source)), "page 1: L* differs by up to ")


@pytest.mark.parametrize("source", ["grey.png", "deep.png", "scan.tif", "pages.tif", "exact.webp"])
def test_one_retouched_pixel_of_a_lossless_copy_is_found(capsys, made, source):
    def retouch(pages):
        page = pages[-1]
        page[5, 7] = (page[5, 7] * (0.99 if page.dtype == np.uint16 else 0.9)).astype(page.dtype)
        return pages

    rewrite(made / "out" / SOURCES[source], lambda pages: [page.copy() for page in pages])
    assert run(capsys, "verify", sidecar_of(made, source))[0] == 0  # the same pixels, and a hash that is right
    rewrite(made / "out" / SOURCES[source], lambda pages: retouch([page.copy() for page in pages]))
    check_verified(run(capsys, "verify", sidecar_of(made, source)), f"page {3 if source == 'pages.tif' else 1}: L* differs")


def test_a_copy_of_other_colours_has_the_right_lightness(capsys, made, release, other_release):
    """What lightness cannot tell, the hash does."""
    assert run(capsys, "colorize", made / "album/grey.png", "--out", made / "others", "--ckpt", other_release)[0] == 0
    shutil.copy(made / "others" / "grey.colorized.png", made / "out")
    outcome = run(capsys, "verify", sidecar_of(made, "grey.png"))
    check_verified(outcome, "grey.colorized.png has changed")
    assert "L*" not in outcome[1]


def test_a_copy_of_another_size_is_found(capsys, made):
    rewrite(made / "out" / "grey.colorized.png", lambda pages: [np.ascontiguousarray(pages[0][:-1])])
    check_verified(run(capsys, "verify", sidecar_of(made, "grey.png")), "page 1: the copy has another size")


CHANGES = {
    "one less": lambda pages: pages[:2],
    "one more": lambda pages: [*pages, pages[0]],
    "another order": lambda pages: [pages[0], pages[2], pages[1]],
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_pages_are_found(capsys, made, change):
    rewrite(made / "out" / "pages.colorized.tif", CHANGES[change])
    words = ("page 2: L* differs", "page 3: L* differs") if change == "another order" else ("different numbers of pages",)
    check_verified(run(capsys, "verify", sidecar_of(made, "pages.tif")), *words)


def test_pages_that_are_not_there_are_found(capsys, made):
    edit(sidecar_of(made, "cat.jpg"), lambda said: said["pages"].extend(said["pages"] * 2))
    check_verified(run(capsys, "verify", sidecar_of(made, "cat.jpg")), "page")


def test_a_copy_that_is_no_picture_is_found(capsys, made):
    copy = made / "out" / "cat.colorized.jpg"
    copy.write_text("no picture")
    edit(sidecar_of(made, "cat.jpg"), lambda said: said["copy"].update(sha256=sha256(copy)))
    check_verified(run(capsys, "verify", sidecar_of(made, "cat.jpg")), "the pictures cannot be compared: not a picture")


def test_other_weights_are_found(capsys, made, release, other_release):
    path = sidecar_of(made, "cat.jpg")
    wrong, right = checkpoint.load(other_release).digest, checkpoint.load(release).digest
    expected = f"other weights: SHA-256 is {wrong[:12]}, not {right[:12]}"
    check_verified(run(capsys, "verify", path, "--ckpt", other_release), expected)
    assert run(capsys, "verify", path, "--ckpt", made)[0] == 2  # which are no weights
    edit(path, lambda said: said["weights"].update(sha256=wrong))
    check_verified(run(capsys, "verify", path, "--ckpt", release), "other weights")


def test_no_sidecar_at_all(capsys, coloured, tmp_path):
    code, out, err = run(capsys, "verify", coloured / "album", tmp_path)
    assert (code, out) == (2, "")
    assert err == f"colorjax: no sidecars in {coloured / 'album'}, {tmp_path}\n"
    check_verified(run(capsys, "verify", tmp_path / "nowhere.json"), f"{tmp_path / 'nowhere.json'} cannot be read")


TEXTS = {
    "nothing": b"",
    "half of it": b'{"schema": "colorjax-sidecar-1", "copy": {"na',
    "no UTF-8": b'{"schema": "\xff\xfe\xff"}',
    "a list": b"[]",
    "a number": b"7",
    "other JSON": b'{"name": "package", "version": "1"}',
    "another version": b'{"schema": "colorjax-sidecar-999"}',
    "only the schema": b'{"schema": "colorjax-sidecar-1"}',
    "deep": b'{"a": ' * 20000 + b"1" + b"}" * 20000,
    "a long number": b'{"schema": ' + b"9" * 5000 + b"}",
    "zeros": bytes(1000),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_file_that_is_no_sidecar_is_named(capsys, made, text):
    path = sidecar_of(made, "cat.jpg")
    path.write_bytes(text)
    code, out, err = run(capsys, "verify", made / "out")
    assert (code, err) == (1, "")
    (bad,) = (line for line in out.splitlines() if not line.endswith(": as it says"))
    assert bad.startswith(f"{path}: {path} ")
    assert len(bad) < 500
    assert len(out.splitlines()) == len(SOURCES)  # the others are looked at


KEYS = [
    ("schema",),
    ("colorjax",),
    ("device",),
    ("settings",),
    ("weights",),
    ("weights", "sha256"),
    ("digital_source_type",),
    ("not_carried",),
    ("pages",),
    ("source",),
    ("source", "path"),
    ("source", "sha256"),
    ("copy",),
    ("copy", "name"),
    ("copy", "sha256"),
]


@pytest.mark.parametrize("key", KEYS, ids=".".join)
def test_a_sidecar_without_one_of_its_keys_is_damaged(capsys, made, key):
    def remove(said):
        for part in key[:-1]:
            said = said[part]
        del said[key[-1]]

    path = sidecar_of(made, "cat.jpg")
    edit(path, remove)
    check_verified(run(capsys, "verify", path), path)


ABSURD = {
    "source": [None, 7, "x", []],
    "copy": [None, [], {"name": 7, "sha256": "x"}, {"name": None, "sha256": "x"}, {"name": ["a"], "sha256": "x"}],
    "pages": [None, 7, "abc", {}, [], [None], ["x"], [[]], {"0": {}}],
    "weights": [None, "x", 7],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, found in ABSURD.items() for value in found], ids=repr)
def test_a_sidecar_of_absurd_types_is_damaged(capsys, made, release, key, value):
    path = sidecar_of(made, "cat.jpg")
    edit(path, lambda said: said.update({key: value}))
    check_verified(run(capsys, "verify", path, "--ckpt", release), path)
    assert run(capsys, "sheet", made / "out")[0] in (0, 1)


@pytest.mark.parametrize("box", [[1, 2], "abcd", {}, 7, [0.5, 0.5, 9.5, 9.5], [None] * 4, ["0", "0", "9", "9"], True])
def test_a_sidecar_with_an_absurd_box_is_damaged(capsys, made, box):
    path = sidecar_of(made, "cat.jpg")
    edit(path, lambda said: said["pages"][0].update(burnt_in=box))
    outcome = run(capsys, "verify", path)
    check_verified(outcome, path)
    assert "numbers of pages" not in outcome[1]


@pytest.mark.parametrize(
    "copy",
    [
        "../../../etc/passwd",
        "/etc/passwd",
        "/dev/zero",
        "",
        ".",
        "..",
        "\0",
        "a\0b",
        "x" * 5000,
        "\ud800",
        "../out",
        "\n\x1b[31m",
    ],
    ids=lambda copy: ascii(copy[:20]),
)
def test_a_copy_of_a_hostile_name_is_not_verified(capsys, made, copy):
    path = sidecar_of(made, "cat.jpg")
    edit(path, lambda said: said["copy"].update(name=copy))
    outcome = run(capsys, "verify", path, sidecar_of(made, "grey.png"))
    check_verified(outcome, path, f"{sidecar_of(made, 'grey.png')}: as it says")  # nor does it keep others from it
    assert photos.legible(outcome[1].replace("\n", "")) == outcome[1].replace("\n", "")


def test_the_source_does_not_pass_for_its_own_copy(capsys, made):
    path = sidecar_of(made, "cat.jpg")
    edit(path, lambda said: said.update(copy={"name": said["source"]["path"], "sha256": said["source"]["sha256"]}))
    check_verified(run(capsys, "verify", path), path)


@pytest.mark.parametrize("source", ["../../../etc/passwd", "/dev/zero", "\0", "x" * 5000, ".."], ids=lambda s: ascii(s[:20]))
def test_a_source_of_a_hostile_path_is_not_verified(capsys, made, source):
    path = sidecar_of(made, "cat.jpg")
    edit(path, lambda said: said["source"].update(path=source))
    check_verified(run(capsys, "verify", path, sidecar_of(made, "grey.png")), path, "grey.colorized.png.json: as it says")


# --- the kind of source, and words in the picture ---


@pytest.mark.parametrize("kind", provenance.SOURCE_TYPES)
def test_the_source_type_is_as_asked(capsys, coloured, release, tmp_path, kind):
    uri = COMPOSITE.rpartition("/")[0] + "/" + kind
    for source in ("cat.jpg", "deep.png", "pages.tif") if kind == provenance.SOURCE_TYPES[1] else ("cat.jpg",):
        arguments = ("--out", tmp_path, "--ckpt", release, "--source-type", kind)
        assert run(capsys, "colorize", coloured / "album" / source, *arguments)[0] == 0
        for xmp in packets_in(tmp_path / SOURCES[source]):
            check_marked(xmp, uri)
        assert about(tmp_path / f"{SOURCES[source]}.json")["digital_source_type"] == uri
    assert run(capsys, "verify", tmp_path)[0] == 0


@pytest.mark.parametrize("kind", ["digitalCapture", "", "CompositeWithTrainedAlgorithmicMedia", COMPOSITE, "a\nb"])
def test_an_unknown_source_type_is_refused_with_the_legal_names(capsys, coloured, release, tmp_path, kind):
    arguments = ("--out", tmp_path / "out", "--ckpt", release, "--source-type", kind)
    code, out, err = run(capsys, "colorize", coloured / "album", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("colorjax: --source-type ")
    assert err.count("\n") == 1
    for legal in provenance.SOURCE_TYPES:
        assert legal in err
    assert not (tmp_path / "out").exists()


def outside(box, shape, block=1):
    """Where a picture must be as without the mark; of a lossy one by whole blocks."""
    left, top, right, bottom = box
    mask = np.ones(shape[:2], bool)
    mask[top // block * block : -(-bottom // block) * block, left // block * block : -(-right // block) * block] = False
    return mask


@pytest.mark.parametrize("source", ["grey.png", "deep.png", "scan.tif", "pages.tif", "cat.jpg"])
def test_words_change_only_the_corner(capsys, made, release, source):
    arguments = ("--out", made / "burnt", "--ckpt", release, "--burn-in", "AI")
    assert run(capsys, "colorize", made / "album" / source, *arguments)[0] == 0
    path = made / "burnt" / f"{SOURCES[source]}.json"
    said = about(path)
    assert said["settings"]["burn_in"] == "AI"
    plain, burnt = (list(photos.pages(made / folder / SOURCES[source])) for folder in ("out", "burnt"))
    for one, two, page in zip(plain, burnt, said["pages"], strict=True):
        left, top, right, bottom = page["burnt_in"]
        assert (left, bottom) == (0, HEIGHT)
        assert right * (bottom - top) < HEIGHT * WIDTH / 4
        assert one.image.dtype == two.image.dtype
        away = outside(page["burnt_in"], one.image.shape, 1 if one.lossless else 8)
        np.testing.assert_array_equal(one.image[away], two.image[away])
        changed = two.image[top:, :right].astype(float) - one.image[top:, :right]
        level = np.iinfo(one.image.dtype).max
        assert np.abs(changed).mean() > 0.1 * level
        assert two.image[top:, :right].max() > 0.8 * level  # ink
    for xmp in packets_in(made / "burnt" / SOURCES[source]):
        check_marked(xmp)
        assert '"burn_in": "AI"' in history(xmp)[-1][name("stEvt:parameters")]
    assert run(capsys, "verify", path) == (0, f"{path}: as it says\n", "")


def test_beside_the_words_a_pixel_still_counts(capsys, made, release):
    arguments = ("--out", made / "out", "--ckpt", release, "--burn-in", "AI", "--overwrite")
    assert run(capsys, "colorize", made / "album/deep.png", *arguments)[0] == 0

    def retouch(pages):
        pages[0][2, 2] = pages[0][2, 2] // 8 * 7
        return pages

    rewrite(made / "out" / "deep.colorized.png", lambda pages: retouch([page.copy() for page in pages]))
    check_verified(run(capsys, "verify", sidecar_of(made, "deep.png")), "page 1: L* differs")


def test_a_box_that_hides_the_whole_picture_does_not_deceive(capsys, made):
    rewrite(made / "out" / "grey.colorized.png", lambda pages: [pages[0][::-1]])
    for box in ([0, 0, WIDTH, HEIGHT], [0, 0, 10**30, 10**30], [-WIDTH, 0, WIDTH, HEIGHT]):
        edit(sidecar_of(made, "grey.png"), lambda said, box=box: said["pages"][0].update(burnt_in=box))
        check_verified(run(capsys, "verify", sidecar_of(made, "grey.png")), "grey.colorized.png")


def test_no_words_no_mark_in_the_pixels(capsys, coloured, release, tmp_path):
    from colorjax.inference.colorizer import Colorizer

    expected = Colorizer.from_checkpoint(release)(deep_scene())
    np.testing.assert_array_equal(photos.read(coloured / "out" / "deep.colorized.png").image, expected)
    arguments = ("--out", tmp_path, "--ckpt", release, "--burn-in", "")
    assert run(capsys, "colorize", coloured / "album/deep.png", *arguments)[0] == 0
    np.testing.assert_array_equal(photos.read(tmp_path / "deep.colorized.png").image, expected)


def test_words_that_the_font_does_not_have_are_refused(capsys, coloured, release, tmp_path):
    """Boxes instead of letters say nothing: either each is drawn as it is, or none is."""
    drawn = set()
    texts = ("\u0436\u0436\u0436", "\u03c9\u03c9\u03c9", "\u00e9\u00e9\u00e9", "\u0142\u0142\u0142", "\u6f22\u6f22\u6f22")
    for number, words in enumerate(texts):
        out = tmp_path / str(number)
        code, _, err = run(capsys, "colorize", coloured / "album/grey.png", "--out", out, "--ckpt", release, "--burn-in", words)
        if words == texts[-1]:
            assert (code, out.exists()) == (2, False)
            assert words[0] in err
        else:
            drawn.add(photos.read(out / "grey.colorized.png").image.tobytes())
            assert len(drawn) == number + 1


# --- where the colour is a guess ---


def test_a_map_lies_on_the_photograph_above_a_legend(guessed):
    for source in ("cat.jpg", "grey.png"):
        with Image.open(guessed / "out" / f"{source}.uncertainty.png") as picture:
            assert picture.mode == "L"
            assert "Lab units" in picture.text["Description"]
            pixels = np.asarray(picture)
        assert pixels.shape[1] == WIDTH
        assert pixels.shape[0] > HEIGHT
        page = about(sidecar_of(guessed, source))["pages"][0]
        assert page["map"] == f"{source}.uncertainty.png"
        assert page["uncertainty"] > 0.5
        assert 0.5 < pixels[:HEIGHT].mean() * marks.WHITE_AT / 255 <= 1.1 * page["uncertainty"]  # beyond white it is cut
        assert pixels[:HEIGHT].std() > 1
        ramp = pixels[HEIGHT + 4].astype(int)
        assert (ramp[0], ramp[-1]) == (0, 255)
        assert (np.diff(ramp) >= 0).all()
        assert pixels[HEIGHT + 14 :].max() > 200  # its numbers


def test_every_page_has_a_map(guessed):
    said = about(sidecar_of(guessed, "pages.tif"))["pages"]
    expected = ["pages.tif.uncertainty.png", "pages.tif.page2.uncertainty.png", "pages.tif.page3.uncertainty.png"]
    assert [page["map"] for page in said] == expected
    found = [np.asarray(Image.open(guessed / "out" / page["map"]))[:HEIGHT] for page in said]
    assert np.abs(found[0].astype(int) - found[1]).mean() > 1  # of a page that stands on its head
    assert sorted(path for path in files(guessed / "out") if path.startswith("pages")) == sorted(
        [*expected, "pages.colorized.tif", "pages.colorized.tif.json"]
    )


def test_a_map_is_that_of_the_network(guessed, release):
    from colorjax.inference.colorizer import Colorizer

    spread = Colorizer.from_checkpoint(release).uncertainty(np.asarray(Image.open(guessed / "album" / "grey.png")))
    found = np.asarray(Image.open(guessed / "out" / "grey.png.uncertainty.png"))
    np.testing.assert_array_equal(found, marks.uncertainty_map(spread, (HEIGHT, WIDTH)))
    assert about(sidecar_of(guessed, "grey.png"))["pages"][0]["uncertainty"] == pytest.approx(spread.mean(), abs=1e-3)


def test_the_colours_do_not_depend_on_the_map(guessed, coloured):
    for source in ("cat.jpg", "grey.png", "pages.tif"):
        assert sha256(guessed / "out" / SOURCES[source]) == sha256(coloured / "out" / SOURCES[source])


def test_with_maps_the_copies_verify(capsys, guessed):
    assert run(capsys, "verify", guessed / "out")[0] == 0


def test_neither_maps_nor_copies_are_coloured(capsys, guessed, release, tmp_path):
    shutil.copytree(guessed / "album", tmp_path / "album")
    arguments = ("colorize", tmp_path / "album", "--out", tmp_path / "album", "--ckpt", release, "--uncertainty")
    code, out, _ = run(capsys, *arguments)
    assert (code, out.splitlines()[-1]) == (0, f"3 photographs coloured into {tmp_path / 'album'}")
    first = digests(tmp_path / "album")
    code, out, _ = run(capsys, *arguments)
    assert (code, out) == (0, f"0 photographs coloured into {tmp_path / 'album'}, 3 there already\n")
    assert digests(tmp_path / "album") == first
    assert run(capsys, *arguments, "--overwrite")[1].splitlines()[-1].startswith("3 photographs coloured")
    again = digests(tmp_path / "album")
    assert {path: digest for path, (digest, _) in again.items()} == {path: digest for path, (digest, _) in first.items()}


# --- what is drawn ---

SHAPES = [(1, 1), (1, 2), (2, 1), (1, 300), (300, 1), (3, 7), (37, 53), (15, 16), (64, 900)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_map_of_every_shape(shape):
    for spread in ((1, 1), (40, 40), (24, 96)):
        for units, grey in ((0.0, 0), (marks.WHITE_AT / 2, 127), (marks.WHITE_AT, 255), (1e6, 255)):
            pixels = marks.uncertainty_map(np.full(spread, units, np.float32), shape)
            assert pixels.dtype == np.uint8
            assert pixels.shape[1] == shape[1]
            assert pixels.shape[0] > shape[0]
            assert set(np.unique(pixels[: shape[0]])) == {grey}


def test_a_map_is_scaled_to_the_photograph():
    spread = np.zeros((4, 4), np.float32)
    spread[0, 3] = marks.WHITE_AT
    pixels = marks.uncertainty_map(spread, (80, 120))[:80].astype(int)
    assert pixels[:15, 105:].min() > 150
    assert pixels[40:].max() == pixels[:, :60].max() == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", SHAPES)
def test_words_fit_into_every_shape(shape, dtype):
    level = np.iinfo(dtype).max
    image = np.random.default_rng(0).integers(0, level, (*shape, 3), dtype)
    before = image.copy()
    for words in ("A", "predicted colour " * 20, " ", "\u00e9\u7956"):
        burnt, box = marks.burn_in(image, words)
        left, top, right, bottom = box
        assert (left, bottom) == (0, shape[0])
        assert 0 <= top < bottom
        assert left < right <= shape[1]
        assert (burnt.dtype, burnt.shape) == (dtype, image.shape)
        np.testing.assert_array_equal(image, before)
        away = outside(box, shape)
        np.testing.assert_array_equal(burnt[away], image[away])
        json.dumps(box)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("background", [0.0, 0.5, 1.0])
def test_words_can_be_read_on_every_background(dtype, background):
    level = np.iinfo(dtype).max
    image = np.full((200, 300, 3), round(background * level), dtype)
    burnt, (_, top, right, _) = marks.burn_in(image, "colour predicted")
    assert 10 <= 200 - top <= 20
    assert 60 < right < 150
    corner = burnt[top:, :right] / level
    assert corner.max() > 0.8
    assert np.median(corner) < 0.4


@pytest.mark.parametrize("words", ["Hg", "two\nlines", "a\nb\nc", "tab\tbed"])
def test_words_are_drawn_whole(words):
    burnt, (_, top, right, bottom) = marks.burn_in(np.zeros((200, 300, 3), np.uint8), words)
    ink = burnt[top:bottom, :right, 0] > 60
    assert ink.any()
    assert not ink[[0, -1]].any()  # nothing is cut
    assert not ink[:, [0, -1]].any()


# --- the contact sheet ---


class Sheet(HTMLParser):
    """What a browser makes of the page: for each picture before, after, map and words, each {"text", "links", "images"}."""

    CELLS = ("before", "after", "guess", "what")

    def __init__(self, path):
        super().__init__()
        self.rows, self.tags, self.attributes, self.title, self.scripts = [], Counter(), Counter(), "", []
        self._inside, self._cell = "", 3
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self._inside = tag
        self.tags[tag] += 1
        self.attributes.update(key for key, _ in attrs)
        attributes = dict(attrs)
        classes = attributes.get("class", "").split()
        self._cell = next((self.CELLS.index(name) for name in classes if name in self.CELLS), 3)
        if tag == "article":
            self.rows.append([{"text": "", "links": [], "images": [], "class": None} for _ in self.CELLS])
        elif tag == "p" and "bad" in classes:
            self.rows[-1][3]["class"] = "bad"
        elif tag == "a":
            self.rows[-1][self._cell]["links"].append(attributes["href"])
        elif tag == "img":
            self.rows[-1][self._cell]["images"].append(attributes["src"])
        elif tag == "script":
            assert not attrs

    def handle_data(self, data):
        if self._inside == "title":
            self.title += data
        elif self._inside == "script":
            self.scripts.append(data)
        elif self.rows and self._inside != "a":
            self.rows[-1][self._cell]["text"] += data

    def handle_endtag(self, tag):
        self._inside, self._cell = "", 3

    @property
    def words(self):
        return [" ".join(cell["text"] for cell in row) for row in self.rows]

    def check_loads_nothing(self):
        """There is one script, always the same, and nothing comes from elsewhere."""
        assert self.scripts == [contact_sheet._SCRIPT]
        assert not {"link", "iframe", "object"} & set(self.tags)
        known = {"lang", "charset", "name", "content", "class", "href", "alt", "src", "style", "type", "min", "max", "value"}
        assert set(self.attributes) <= known | {"aria-label"}


def picture_in(cell):
    """The only picture of a cell; the page holds it."""
    (source,) = cell["images"]
    head, _, data = source.partition(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def linked(cell, page):
    """The file that a browser opens, which takes the dots out of a path before it asks for it."""
    (link,) = cell["links"]
    assert not re.match(r"[a-z]+:|/", link)
    return os.path.normpath(os.path.join(os.fsencode(page.parent), unquote_to_bytes(link)))


def test_the_sheet_has_a_row_for_every_copy(capsys, made):
    code, out, err = run(capsys, "sheet", made / "out")
    page = made / "out" / "sheet.html"
    assert (code, out, err) == (0, f"{len(SOURCES)} pictures in {page}\n", "")
    sheet = Sheet(page)
    assert "likely, not known" in page.read_text()
    assert sheet.title.startswith("out")
    assert len(sheet.rows) == len(SOURCES)
    for row, path in zip(sheet.rows, sidecar.find(made / "out"), strict=True):
        said = about(path)
        source, copy = path.parent / said["source"]["path"], path.parent / said["copy"]["name"]
        for cell, file in ((row[0], source), (row[1], copy)):
            assert os.path.samefile(linked(cell, page), file)
            shown = picture_in(cell)
            assert shown.shape == (HEIGHT, WIDTH, 3)
            assert np.abs(shown - photos.read_rgb(file)).mean() < 12
        assert row[2] == {"text": "", "links": [], "images": [], "class": None}
        assert Path(said["source"]["path"]).name in row[3]["text"]
        assert f"{WIDTH} x {HEIGHT} pixels, {said['pages'][0]['bits']} bits" in row[3]["text"]
        assert ("3 pages" in row[3]["text"]) == ("pages.tif" in row[3]["text"])


def test_the_sheet_loads_nothing(capsys, made):
    run(capsys, "sheet", made / "out")
    Sheet(made / "out" / "sheet.html").check_loads_nothing()


def test_the_sheet_shows_the_maps(capsys, guessed, tmp_path):
    root = shutil.copytree(guessed, tmp_path / "guessed")
    assert run(capsys, "sheet", root / "out")[0] == 0
    for row in Sheet(root / "out" / "sheet.html").rows:
        assert Path(os.fsdecode(linked(row[2], root / "out" / "sheet.html"))).name.endswith(".uncertainty.png")
        shown = picture_in(row[2])
        assert shown.shape[0] > HEIGHT
        assert re.search(r"uncertainty \d+\.\d", row[3]["text"])


@pytest.mark.parametrize("place", ["page.html", "elsewhere/page.html", "out/under/page.html"])
def test_the_sheet_may_lie_elsewhere(capsys, made, monkeypatch, place):
    monkeypatch.chdir(made)
    assert run(capsys, "sheet", "out", "--out", place)[:2] == (0, f"{len(SOURCES)} pictures in {place}\n")
    assert not (made / "out" / "sheet.html").exists()
    for row in Sheet(made / place).rows:
        for cell in row[:2]:
            assert os.path.isfile(linked(cell, made / place))


def test_the_sheet_of_the_working_folder_has_a_title(capsys, made, monkeypatch):
    monkeypatch.chdir(made / "out")
    assert run(capsys, "sheet", ".")[0] == 0
    assert Sheet(made / "out" / "sheet.html").title.startswith("out")


HOSTILE = [
    "<script>alert(1)</script>.jpg",  # a folder and a file
    "\"onerror='alert(1)' x=\".jpg",
    "it's &amp; co.jpg",
    "two\nlines\r.jpg",
    "javascript:alert(1).jpg",
    "50% #1 ?a=b&c=d.jpg",
    "\u7956\u6bcd \u0436.jpg",
    os.fsdecode(b"latin \xe9.jpg"),
    "-->{style}%s.jpg",
]


def test_hostile_names_are_only_names(capsys, coloured, release, tmp_path):
    for hostile in HOSTILE:
        (tmp_path / "album" / hostile).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(coloured / "album" / "cat.jpg", tmp_path / "album" / hostile)
    code, _, err = run(capsys, "colorize", tmp_path / "album", "--out", tmp_path / "out", "--ckpt", release)
    assert (code, err) == (0, "")
    assert run(capsys, "verify", tmp_path / "out")[0] == 0
    page = tmp_path / "out" / "sheet.html"
    code, out, err = run(capsys, "sheet", tmp_path / "out")
    assert (code, out, err) == (0, f"{len(HOSTILE)} pictures in {page}\n", "")
    sheet = Sheet(page)
    assert len(sheet.rows) == len(HOSTILE)
    sheet.check_loads_nothing()
    remaining = {os.path.realpath(os.fsencode(tmp_path / "album" / hostile)) for hostile in HOSTILE}
    for row in sheet.rows:
        assert os.path.isfile(linked(row[1], page))
        remaining.remove(os.path.realpath(linked(row[0], page)))
    assert not remaining
    for hostile in HOSTILE:
        assert any(photos.legible(hostile) in row[3]["text"] for row in sheet.rows)


def test_the_most_uncertain_come_first(capsys, made):
    guesses = {"scan.tif": 3.0, "cat.jpg": 9.5, "rgb.png": 0.0, "exact.webp": 20.25}
    for source, guess in guesses.items():
        edit(sidecar_of(made, source), lambda said, guess=guess: said["pages"][0].update(uncertainty=guess))
    edit(sidecar_of(made, "pages.tif"), lambda said: [p.update(uncertainty=4.0 + i) for i, p in enumerate(said["pages"])])
    assert run(capsys, "sheet", made / "out", "--by-uncertainty")[0] == 0
    order = Sheet(made / "out" / "sheet.html").words
    expected = ["exact.webp", "cat.jpg", "pages.tif", "scan.tif", "rgb.png"]
    for words, source in zip(order[:5], expected, strict=True):
        assert source in words
    assert run(capsys, "sheet", made / "out")[0] == 0
    by_name = Sheet(made / "out" / "sheet.html").words
    assert sorted(by_name) == sorted(order)
    assert "cat.jpg" in by_name[0]


@pytest.mark.parametrize("guess", ["much", None, [], 10**400, float("nan"), {"a": 1}, True], ids=lambda guess: repr(guess)[:9])
def test_an_absurd_uncertainty_does_not_stop_the_sheet(capsys, made, guess):
    edit(sidecar_of(made, "cat.jpg"), lambda said: said["pages"][0].update(uncertainty=guess))
    edit(sidecar_of(made, "scan.tif"), lambda said: said["pages"][0].update(uncertainty=2.0))
    edit(sidecar_of(made, "rgb.png"), lambda said: said["pages"][0].update(uncertainty=3.0))
    code, _, err = run(capsys, "sheet", made / "out", "--by-uncertainty")
    assert code in (0, 1)
    assert err == ""
    sheet = Sheet(made / "out" / "sheet.html")
    assert len(sheet.rows) == len(SOURCES)
    places = [next(i for i, words in enumerate(sheet.words) if source in words) for source in ("rgb.png", "scan.tif")]
    assert places == sorted(places)


@pytest.mark.parametrize("damage", ["source", "copy", "map", "sidecar", "keys", "picture"])
def test_what_is_missing_or_damaged_is_shown(capsys, guessed, tmp_path, damage):
    root = shutil.copytree(guessed, tmp_path / "guessed")
    path = sidecar_of(root, "cat.jpg")
    gone = {"source": "album/cat.jpg", "copy": "out/cat.colorized.jpg", "map": "out/cat.jpg.uncertainty.png"}
    if damage in gone:
        (root / gone[damage]).unlink()
    elif damage == "sidecar":
        path.write_text('<b>{"schema"')
    elif damage == "keys":
        edit(path, lambda said: said.pop("pages"))
    else:
        (root / "out" / "cat.colorized.jpg").write_text("<script>")
    code, out, err = run(capsys, "sheet", root / "out")
    assert code == 1
    assert err.endswith(": something of it is missing or damaged\n")
    assert err.count("\n") == 1
    assert out == f"3 pictures in {root / 'out' / 'sheet.html'}, 1 of them incomplete\n"
    sheet = Sheet(root / "out" / "sheet.html")
    assert len(sheet.rows) == 3
    named = Path(gone.get(damage, "cat.colorized.jpg")).name
    assert named in sheet.words[0]
    assert ("is not there" if damage in gone else "damaged" if damage == "keys" else "no") in sheet.words[0]
    assert sheet.tags["span"] + sum(cell["class"] == "bad" for row in sheet.rows for cell in row) == 1
    sheet.check_loads_nothing()
    assert all(len(row) == 4 and len(row[1]["images"]) == 1 for row in sheet.rows[1:])


@pytest.mark.parametrize("key", ["source", "copy", "pages", "settings", "not_carried"])
@pytest.mark.parametrize("value", [None, 7, "x", [], [None], {}, {"name": 7, "path": 7}, "\0"], ids=repr)
def test_absurd_sidecars_do_not_stop_the_sheet(capsys, made, key, value):
    for source in ("deep.png", "pages.tif", "photo.webp", "exact.webp", "under/old.bmp"):
        sidecar_of(made, source).unlink()
    edit(sidecar_of(made, "cat.jpg"), lambda said: said.update({key: value}))
    code, _, err = run(capsys, "sheet", made / "out")
    assert code in (0, 1)
    assert err.count(": something of it is missing or damaged\n") == err.count("\n") == code
    rows = Sheet(made / "out" / "sheet.html").rows
    assert len(rows) == len(sidecar.find(made / "out"))
    assert sum(len(row) == 4 and len(row[1]["images"]) == 1 for row in rows) >= len(rows) - 1


def test_without_sidecars_there_is_no_sheet(capsys, coloured, tmp_path):
    code, out, err = run(capsys, "sheet", coloured / "album", "--out", tmp_path / "page.html")
    assert (code, out) == (2, "")
    assert err.startswith(f"colorjax: {coloured / 'album'} holds no sidecars")
    assert not (tmp_path / "page.html").exists()
    assert run(capsys, "sheet", tmp_path / "nowhere")[0] == 2
