"""Colour profiles, written by hand."""

import struct


def profile(description, red, green, blue, gamma):
    """A matrix profile of ICC version 2: the three primaries as XYZ under D50, one gamma."""

    def tag(kind, body):
        return kind + bytes(4) + body + bytes(-len(body) % 4)

    def xyz(*values):
        return tag(b"XYZ ", struct.pack(">3i", *(round(value * 65536) for value in values)))

    text = description.encode() + b"\0"
    curve = tag(b"curv", struct.pack(">IH", 1, round(gamma * 256)))
    tags = {
        b"desc": tag(b"desc", struct.pack(">I", len(text)) + text + bytes(78)),
        b"cprt": tag(b"text", b"none\0"),
        b"wtpt": xyz(0.9642, 1, 0.8249),
        b"rXYZ": xyz(*red),
        b"gXYZ": xyz(*green),
        b"bXYZ": xyz(*blue),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content
    head = bytes(8) + struct.pack(">I", 0x02100000) + b"mntrRGB XYZ " + struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp"
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    whole = head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body
    return struct.pack(">I", len(whole)) + whole[4:]


RED, GREEN, BLUE = (0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)
