"""Signed provenance: keys, content credentials (C2PA) in and beside copies, signatures of sidecars, and what verify says."""

import dataclasses
import io
import json
import os
import pickle
import shutil
import stat
import subprocess
import sys

import c2pa
import numpy as np
import pytest
from helpers import ROOT, console
from PIL import Image

import colorjax
from colorjax import photos
from colorjax.archive import colorize_cluster, colorize_command, colorize_many, places, sidecar
from colorjax.archive.plan import Options
from colorjax.archive.proof import checking, keys, manifests, signatures

RNG = np.random.default_rng(7)
GREY = np.clip(np.add.outer(np.arange(48) * 3, np.arange(64) * 2) + RNG.integers(0, 9, (48, 64)), 0, 255).astype(np.uint8)
FORMATS = {"JPEG": "jpg", "PNG": "png", "TIFF": "tif", "WEBP": "webp", "AVIF": "avif", "HEIF": "heic", "JXL": "jxl"}
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/></x:xmpmeta>'
COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    keys.new(folder, "City Archive")
    return folder


@pytest.fixture(scope="module")
def camera(tmp_path_factory):
    """Somebody else's keys."""
    folder = tmp_path_factory.mktemp("camera")
    keys.new(folder, "A Camera")
    return folder


@pytest.fixture(scope="module")
def colorizer(weights):
    return colorize_many.load(str(weights), None, False, "jax")


@pytest.fixture
def colour(colorizer, pair):
    def coloured(source, target, signed=True, **settings):
        settings |= options_of(pair) if signed else {}
        return colorjax.colorize_file(source, target, colorizer=colorizer, **settings)

    return coloured


def options_of(folder):
    return {"sign_key": str(folder / keys.KEY), "sign_cert": str(folder / keys.CHAIN)}


def arguments(folder):
    return ["--sign-key", folder / keys.KEY, "--sign-cert", folder / keys.CHAIN]


def source(path, image=GREY, **metadata):
    """A grey photograph with metadata, in the format of its suffix."""
    exif = Image.Exif()
    exif[315], exif.get_ifd(34665)[36867], exif.get_ifd(34853)[1] = "Ann", "1931:05:01 10:00:00", "N"
    name, like = photos.file_format(path), photos.Metadata(exif.tobytes(), XMP, dpi=(300.0, 300.0), **metadata)
    photo = photos.Photo(np.repeat(image[..., None], 3, 2), None, name, like)
    photos.write(path, photo.image, photo)
    return path


def signed_by(folder, path):
    """The same picture with a manifest of its own, as a camera writes one."""
    picture, kind = io.BytesIO(), f"image/{photos.file_format(path).lower()}"
    pair = keys.load(keys.Place(*options_of(folder).values()))
    created = {"action": "c2pa.created", "digitalSourceType": COMPOSITE.rpartition("/")[0] + "/digitalCapture"}
    manifests._builder({"actions": [created]}).sign(manifests._signer(pair), kind, io.BytesIO(path.read_bytes()), picture)
    path.write_bytes(picture.getvalue())
    return path


def store_of(path, *anchors, manifest=None):
    """What the package's own reader says of a picture."""
    settings = {"verify": {"remote_manifest_fetch": False}}
    settings |= {"trust": {"user_anchors": "".join(anchor.read_text() for anchor in anchors)}} if anchors else {}
    context = c2pa.Context(c2pa.Settings.from_dict(settings))
    kind = "image/jp2" if path.suffix == ".jp2" else f"image/{photos.kind(path).lower()}"
    with open(path, "rb") as stream, c2pa.Reader(kind, stream, manifest, context=context) as reader:
        return json.loads(reader.json())


def active(store):
    return store["manifests"][store["active_manifest"]]


def has_credentials(path):
    try:
        return bool(store_of(path))
    except c2pa.C2paError.ManifestNotFound:
        return False


def flipped(path, positions):
    """The file with one byte changed, again and again."""
    data = path.read_bytes()
    for place in positions:
        changed = bytearray(data)
        changed[place] ^= 0x55
        path.write_bytes(bytes(changed))
        yield place
    path.write_bytes(data)


def check(path, trust=None, words=(), holds=True):
    anchors = trust and (trust / keys.ROOT).read_bytes()
    found, said = checking.in_words(path, checking.checked, None, photos.MAX_PIXELS, None, anchors)
    assert found is holds, said
    for word in words:
        assert word in said
    return said


# --- keys ---


def test_a_pair_is_made_for_its_owner_alone(capsys, tmp_path):
    code, out, err = console.run(capsys, "keys", "--new", tmp_path / "new", "--name", "Ann")
    assert (code, err) == (0, "")
    assert "untrusted issuer" in out and str(tmp_path / "new" / keys.CHAIN) in out
    assert stat.S_IMODE((tmp_path / "new" / keys.KEY).stat().st_mode) == 0o600
    assert b"PRIVATE" not in (tmp_path / "new" / keys.CHAIN).read_bytes() + (tmp_path / "new" / keys.ROOT).read_bytes()
    assert manifests.ready(keys.Place(*options_of(tmp_path / "new").values())).who == "Ann"
    console.check_failed_before_the_work(console.run(capsys, "keys", "--new", tmp_path / "new"), "key.pem", "--new")
    console.check_failed_before_the_work(console.run(capsys, "keys", "--new", tmp_path / "x", "--name", ""), "--name")


def made_key(algorithm):
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    curves = {"es256": ec.SECP256R1, "es384": ec.SECP384R1, "es512": ec.SECP521R1, "other": ec.SECP256K1}
    if algorithm in curves:
        return ec.generate_private_key(curves[algorithm]())
    return rsa.generate_private_key(65537, 2048) if algorithm == "ps256" else ed25519.Ed25519PrivateKey.generate()


def pem(key, password=None):
    from cryptography.hazmat.primitives import serialization as form

    locked = form.BestAvailableEncryption(password) if password else form.NoEncryption()
    return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, locked)


def chain_of(key, root=None, self_signed=False):
    from cryptography.hazmat.primitives.serialization import Encoding

    by = key if self_signed else root or made_key("es256")
    return keys._certificate("Ann", "Ann" if self_signed else "Root", "Ann", key, by, False).public_bytes(Encoding.PEM)


@pytest.mark.parametrize("algorithm", ["es256", "es384", "es512", "ps256", "ed25519"])
def test_every_kind_of_key_signs_copies_and_sidecars(algorithm, tmp_path):
    key = made_key(algorithm)
    (tmp_path / keys.KEY).write_bytes(pem(key))
    (tmp_path / keys.CHAIN).write_bytes(chain_of(key))
    pair = manifests.ready(keys.Place(*options_of(tmp_path).values()))
    assert pair.algorithm == algorithm
    signature = signatures.sign(b"what is signed", pair)
    assert signatures.check(b"what is signed", signature).who == "Ann"
    with pytest.raises(signatures.SignatureError, match="changed since Ann"):
        signatures.check(b"what was signed", signature)


def test_any_program_that_knows_jws_can_check_a_signature(pair):
    """By the words of RFC 7515 and 7797 alone."""
    import base64

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    def decoded(part):
        return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))

    own = keys.load(keys.Place(*options_of(pair).values()))
    head, nothing, signature = signatures.sign(b"{}\n", own).strip().split(b".")
    header = json.loads(decoded(head))
    assert nothing == b"" and header["b64"] is False and header["crit"] == ["b64"] and header["alg"] == "ES256"
    certificate = x509.load_der_x509_certificate(base64.b64decode(header["x5c"][0]))
    raw = decoded(signature)
    der = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    certificate.public_key().verify(der, head + b"." + b"{}\n", ec.ECDSA(hashes.SHA256()))


def unfit(tmp_path, what):
    """The arguments of a key or certificate that cannot sign, and a word of why."""
    key, other = made_key("es256"), made_key("es256")
    content = {keys.KEY: pem(key), keys.CHAIN: chain_of(key)}
    content |= {
        "locked": {keys.KEY: pem(key, b"secret")},
        "no private key": {keys.KEY: b"hello"},
        "of a kind": {keys.KEY: pem(k := made_key("other")), keys.CHAIN: chain_of(k)},
        "no certificates": {keys.CHAIN: b"hello"},
        "is not of the key": {keys.CHAIN: chain_of(other)},
        "vouches for itself": {keys.CHAIN: chain_of(key, self_signed=True)},
    }[what]
    for name in (keys.KEY, keys.CHAIN):
        (tmp_path / name).write_bytes(content[name])
    return arguments(tmp_path)


@pytest.mark.parametrize(
    "what", ["locked", "no private key", "of a kind", "no certificates", "is not of the key", "vouches for itself"]
)
def test_a_key_that_cannot_sign_is_refused_before_anything_is_coloured(capsys, tmp_path, what):
    photo, given = source(tmp_path / "a.png"), unfit(tmp_path, what)
    console.check_failed_before_the_work(console.run(capsys, "colorize", photo, *given), what, "--sign-")
    assert not list(tmp_path.glob("*colorized*"))


def test_a_certificate_that_c2pa_refuses_is_refused_before_anything_is_coloured(capsys, monkeypatch, tmp_path):
    from cryptography.x509.oid import ExtendedKeyUsageOID

    monkeypatch.setattr(ExtendedKeyUsageOID, "EMAIL_PROTECTION", ExtendedKeyUsageOID.SERVER_AUTH)
    keys.new(tmp_path, "A web server")
    outcome = console.run(capsys, "colorize", source(tmp_path / "a.png"), *arguments(tmp_path))
    console.check_failed_before_the_work(outcome, "--sign-cert", "C2PA")


def test_a_key_needs_its_certificates_and_they_may_be_named_by_the_environment(capsys, monkeypatch, tmp_path, pair, weights):
    photo = source(tmp_path / "a.png")
    outcome = console.run(capsys, "colorize", photo, "--sign-key", pair / keys.KEY)
    console.check_failed_before_the_work(outcome, "sign-key", "sign-cert")
    outcome = console.run(capsys, "colorize", photo, "--sign-key", tmp_path / "no.pem", "--sign-cert", pair / keys.CHAIN)
    console.check_failed_before_the_work(outcome, "no.pem", "no such file")
    console.check_failed_before_the_work(console.run(capsys, "colorize", photo, "--sign-tsa", "http://t"), "sign-tsa")
    monkeypatch.setenv("COLORJAX_SIGN_KEY", str(pair / keys.KEY))
    monkeypatch.setenv("COLORJAX_SIGN_CERT", str(pair / keys.CHAIN))
    assert console.run(capsys, "colorize", photo, "--ckpt", weights)[0] == 0
    assert "City Archive" in check(tmp_path / "a.colorized.png.json")


# --- copies ---


def each_copy():
    for name, suffix in FORMATS.items():
        yield pytest.param(name, f"a.{suffix}", GREY, id=name)
    for name in ("PNG", "TIFF", "JXL"):
        yield pytest.param(name, f"a.{FORMATS[name]}", GREY.astype(np.uint16) * 257, id=f"{name} of 16 bits")
    yield pytest.param("JPEG2000", "a.jp2", GREY, id="JPEG2000")


@pytest.mark.parametrize(("name", "file", "image"), list(each_copy()))
def test_a_signed_copy_is_the_same_picture_and_the_official_reader_agrees(colour, pair, tmp_path, name, file, image):
    photo, beside = source(tmp_path / file, image), name == "JPEG2000"
    signed = colour(photo, tmp_path / f"signed{photo.suffix}").job.target
    plain = colour(photo, tmp_path / f"plain{photo.suffix}", signed=False).job.target
    (one,), (other,) = photos.pages(signed), photos.pages(plain)
    assert np.array_equal(one.image, other.image) and one.image.dtype == image.dtype
    assert one.metadata == other.metadata and one.metadata.exif and one.metadata.xmp
    assert (tmp_path / f"{signed.name}.c2pa").exists() is beside
    manifest = (tmp_path / f"{signed.name}.c2pa").read_bytes() if beside else None
    assert store_of(signed, manifest=manifest)["validation_state"] == "Valid"
    store = store_of(signed, pair / keys.ROOT, manifest=manifest)
    assert store["validation_state"] == "Trusted"
    (ingredient,) = active(store)["ingredients"]
    assert ingredient["relationship"] == "parentOf" and "thumbnail" not in ingredient
    assert ingredient["instance_id"] == f"sha256:{sidecar.digest_of(photo)}"
    check(tmp_path / f"{signed.name}.json", pair, ["as it says", "signed by City Archive"])
    check(tmp_path / f"{plain.name}.json", pair, ["not signed"], holds=False)
    assert check(tmp_path / f"{plain.name}.json") == "as it says"


def test_a_manifest_says_who_did_what_to_the_picture(colour, colorizer, tmp_path):
    target = colour(source(tmp_path / "a.png"), tmp_path / "b.png", strength=0.5).job.target
    manifest = active(store_of(target))
    opened, edited = manifest["assertions"][0]["data"]["actions"]
    assert (opened["action"], edited["action"]) == ("c2pa.opened", "c2pa.edited")
    assert edited["digitalSourceType"] == COMPOSITE
    agent = edited["softwareAgent"]
    assert agent["name"] == "colorjax" and agent["colorjax.weights.sha256"] == colorizer.network.digest
    assert edited["parameters"]["colorjax.hints"] == 0 and edited["parameters"]["colorjax.strength"] == 0.5
    assert manifest["instance_id"].removeprefix("xmp.iid:").encode() in photos.read(target).metadata.xmp
    assert manifest["title"] == "b.png" and manifest["signature_info"]["common_name"] == "City Archive"


@pytest.mark.parametrize("what", ["pages", "smaller versions"])
def test_a_tiff_of_several_directories_has_its_manifest_beside_it(colour, pair, tmp_path, what):
    import tifffile

    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        large = RNG.integers(0, 65536, (64, 96), np.uint16)
        for _ in range(2 if what == "pages" else 1):
            writer.write(large, photometric="minisblack", subifds=int(what != "pages"))
        if what != "pages":
            writer.write(large[::2, ::2], photometric="minisblack", subfiletype=1)
    signed = colour(tmp_path / "a.tif", tmp_path / "signed.tif").job.target
    plain = colour(tmp_path / "a.tif", tmp_path / "plain.tif", signed=False).job.target
    assert signed.read_bytes() == plain.read_bytes()
    assert (
        store_of(signed, pair / keys.ROOT, manifest=(tmp_path / f"{signed.name}.c2pa").read_bytes())["validation_state"]
        == "Trusted"
    )
    check(tmp_path / "signed.tif.json", pair)


def test_without_a_key_nothing_heavier_is_imported(tmp_path, weights):
    code = f"""
import sys
sys.modules.update(dict.fromkeys(["c2pa", "cryptography", "jwt"]))
from colorjax import cli
assert cli.main(["colorize", {str(source(tmp_path / "a.png"))!r}, "--ckpt", {str(weights)!r}]) == 0
assert cli.main(["verify", {str(tmp_path)!r}]) == 0
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=60)
    assert not list(tmp_path.glob("*.jws")) and not list(tmp_path.glob("*.c2pa"))
    assert not has_credentials(tmp_path / "a.colorized.png")


def test_without_the_package_a_key_is_answered_with_what_to_install(capsys, monkeypatch, tmp_path, pair, colour):
    photo = source(tmp_path / "a.png")
    colour(photo, tmp_path / "b.png")
    monkeypatch.setitem(sys.modules, "c2pa", None)
    outcome = console.run(capsys, "colorize", photo, *arguments(pair))
    console.check_failed_before_the_work(outcome, "colorjax[c2pa]")
    assert "colorjax[c2pa]" in check(tmp_path / "b.png.json")  # a note: nothing is known to be wrong


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs exiftool")
def test_exiftool_reads_the_mark_of_every_format(colour, tmp_path):
    for name, suffix in FORMATS.items():
        colour(source(tmp_path / f"{name}.{suffix}"), tmp_path / "out" / f"{name}.{suffix}")
    asked = ["-XMP-iptcExt:AISystemUsed", "-XMP-iptcExt:AISystemVersionUsed", "-XMP-iptcExt:DigitalSourceType"]
    told = subprocess.run(["exiftool", "-json", "-n", *asked, tmp_path / "out"], check=True, stdout=subprocess.PIPE).stdout
    told = [one for one in json.loads(told) if not one["SourceFile"].endswith((".json", ".jws"))]
    assert len(told) == len(FORMATS)
    for one in told:
        assert one["AISystemUsed"] == "colorjax", one
        assert one["AISystemVersionUsed"].startswith(f"{colorjax.__version__}, weights ")
        assert one["DigitalSourceType"] == COMPOSITE


# --- what verify finds ---


@pytest.fixture(scope="module")
def copies(tmp_path_factory, pair, colorizer):
    """Signed copies: a.jpg with its manifest inside, b.jp2 with it beside."""
    folder = tmp_path_factory.mktemp("copies")
    (folder / "sources").mkdir()
    for name in ("a.jpg", "b.jp2"):
        photo = source(folder / "sources" / name)
        colorjax.colorize_file(photo, folder / name, colorizer=colorizer, **options_of(pair))
    return folder


@pytest.mark.parametrize(
    "name", ["a.jpg", "a.jpg.json", "a.jpg.json.jws", "b.jp2", "b.jp2.json", "b.jp2.json.jws", "b.jp2.c2pa"]
)
def test_a_changed_byte_is_found_wherever_it_is(copies, name):
    size = (copies / name).stat().st_size
    ends = {0, 1, 2, 20, 30, 66, size // 2, size - 2, size - 1}
    for place in flipped(copies / name, sorted(ends | set(RNG.integers(0, size, 40).tolist()))):
        holds, words = checking.in_words(copies / f"{name[0]}.{'jpg' if name[0] == 'a' else 'jp2'}.json", checking.checked)
        assert not holds, (place, words)
    check(copies / "a.jpg.json")
    check(copies / "b.jp2.json")


def test_without_its_sidecar_a_copy_still_tells_of_a_changed_picture(copies, tmp_path):
    """All but what C2PA leaves open within the manifest, as the room that it keeps for a longer signature."""
    copy = shutil.copy(copies / "a.jpg", tmp_path / "a.jpg")
    said = check(copy, words=["content credentials hold, signed by City Archive", "edited by colorjax"])
    assert "untrusted issuer" in said
    data = copy.read_bytes()
    start = data.index(b"\xff\xeb")
    end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    outside = [*range(2, start, 5), *range(end, len(data), len(data) // 40)]
    for place in flipped(copy, outside):
        assert not checking.in_words(copy, checking.checked)[0], place


def test_what_is_wrong_is_said_in_words(copies, pair, camera, tmp_path):
    folder = shutil.copytree(copies, tmp_path / "copies")
    check(folder / "a.jpg.json", camera, ["untrusted issuer", "City Archive"], holds=False)
    next(flipped(folder / "a.jpg", [-2000]))
    check(folder / "a.jpg.json", words=["it has changed since City Archive signed it"], holds=False)
    about = json.loads((folder / "b.jp2.json").read_text())
    about["source"]["name"] = "another.jp2"
    (folder / "b.jp2.json").write_text(json.dumps(about))
    check(folder / "b.jp2.json", words=["sidecar", "changed since City Archive signed it"], holds=False)


def forged(folder, with_keys, said):
    """The sidecar changed, and signed again by somebody else."""
    pair = keys.load(keys.Place(*options_of(with_keys).values()))
    about = json.loads((folder / "a.jpg.json").read_text())
    about["not_carried"] = ["nothing"]
    if said:
        about["signed"] |= {"certificate_sha256": signatures.fingerprint(pair.chain[0])}
    (folder / "a.jpg.json").write_text(json.dumps(about))
    (folder / "a.jpg.json.jws").write_bytes(signatures.sign((folder / "a.jpg.json").read_bytes(), pair))


@pytest.mark.parametrize("said", [False, True])
def test_a_sidecar_signed_by_somebody_else_is_found(copies, camera, tmp_path, said):
    folder = shutil.copytree(copies, tmp_path / "copies")
    forged(folder, camera, said)
    check(folder / "a.jpg.json", words=["somebody else"], holds=False)


def test_who_takes_the_name_of_another_is_not_believed(copies, pair, tmp_path):
    """Even with the same name and number in a certificate of their own: only those pass whom the anchors vouch for."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    folder, real = shutil.copytree(copies, tmp_path / "copies"), keys.load(keys.Place(*options_of(pair).values())).chain[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(x509, "random_serial_number", lambda: real.serial_number)
        keys.new(tmp_path / "false", "City Archive")
    forged(folder, tmp_path / "false", True)
    check(folder / "a.jpg.json", pair, ["untrusted issuer"], holds=False)
    assert real.public_bytes(Encoding.DER) not in (folder / "a.jpg.json.jws").read_bytes()


@pytest.mark.parametrize("said", ["somebody", [1], {"manifest": 3}, {"manifest": {}}], ids=str)
def test_a_sidecar_that_says_nonsense_of_signing_is_told(copies, tmp_path, said):
    folder = shutil.copytree(copies, tmp_path / "copies")
    about = json.loads((folder / "a.jpg.json").read_text())
    (folder / "a.jpg.json").write_text(json.dumps(about | {"signed": said}))
    check(folder / "a.jpg.json", words=["changed since City Archive"], holds=False)


def test_a_signature_or_a_manifest_that_is_gone_is_missed(copies, pair, tmp_path):
    folder = shutil.copytree(copies, tmp_path / "copies")
    (folder / "a.jpg.json.jws").unlink()
    check(folder / "a.jpg.json", words=["its sidecar is not"], holds=False)
    (folder / "b.jp2.c2pa").unlink()
    check(folder / "b.jp2.json", words=["b.jp2.c2pa is not there"], holds=False)
    about = json.loads((folder / "a.jpg.json").read_text())
    del about["signed"]
    (folder / "a.jpg.json").write_text(json.dumps(about))
    check(folder / "a.jpg.json", words=["its sidecar is not"], holds=False)  # the copy itself says that it is signed


def test_verify_takes_pictures_of_others(capsys, camera, tmp_path):
    theirs, plain = signed_by(camera, source(tmp_path / "theirs.jpg")), source(tmp_path / "plain.png")
    code, out, _ = console.run(capsys, "verify", theirs)
    assert code == 0 and "hold, signed by A Camera" in out and "created by colorjax (digitalCapture)" in out
    assert "untrusted issuer: A Camera" in out
    code, out, _ = console.run(capsys, "verify", theirs, "--trust", camera / keys.ROOT)
    assert code == 0 and "untrusted" not in out
    code, out, _ = console.run(capsys, "verify", plain, theirs)
    assert code == 1 and "plain.png has neither a sidecar of colorjax nor content credentials" in out
    next(flipped(theirs, [-500]))
    code, out, _ = console.run(capsys, "verify", theirs)
    assert code == 1 and "do not hold: it has changed since A Camera signed it" in out
    theirs.write_bytes(theirs.read_bytes().replace(b"c2pa.assertions", b"c2pa.assertionz"))
    code, out, _ = console.run(capsys, "verify", theirs)
    assert code == 1 and "do not hold" in out
    console.check_failed_before_the_work(console.run(capsys, "verify", theirs, "--trust", plain), "--trust", "no certificates")


@pytest.mark.parametrize("name", ["b.jp2.c2pa", "b.c2pa"])
def test_a_manifest_beside_a_picture_is_found(capsys, copies, tmp_path, name):
    shutil.copy(copies / "b.jp2", tmp_path / "b.jp2")
    shutil.copy(copies / "b.jp2.c2pa", tmp_path / name)
    for path in (tmp_path / "b.jp2", tmp_path / name):
        code, out, _ = console.run(capsys, "verify", path)
        assert code == 0 and "b.jp2: its content credentials hold" in out
    assert console.run(capsys, "verify", *copies.glob("a.jpg.json*"))[1].count("\n") == 1  # and its signature is its own


def test_copies_of_one_stem_have_a_manifest_each(colour, pair, tmp_path):
    for suffix in ("jp2", "tif"):
        pages = [GREY] * (2 if suffix == "tif" else 1)
        with photos.atomic(tmp_path / f"a.{suffix}") as stream:
            photos.encode(
                stream, photos.file_format(f"a.{suffix}"), [(np.repeat(page[..., None], 3, 2), None) for page in pages]
            )
        colour(tmp_path / f"a.{suffix}", tmp_path / "out" / f"a.{suffix}")
    check(tmp_path / "out" / "a.jp2.json", pair)
    check(tmp_path / "out" / "a.tif.json", pair)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("signingCredential.expired", "has expired"),
        ("claimSignature.outsideValidity", "was not good when"),
        ("assertion.bmffHash.mismatch", "it has changed since Ann"),
        ("assertion.hashedURI.mismatch", "what they say was changed after Ann signed it"),
    ],
)
def test_every_failure_has_words(code, words):
    manifest = {"signature_info": {"common_name": "Ann"}}
    results = {"activeManifest": {"failure": [{"code": code}]}}
    store = {"active_manifest": "a", "manifests": {"a": manifest}, "validation_results": results}
    (problem,) = manifests._finding(store, False).problems
    assert words in problem


# --- sources that are signed themselves ---


@pytest.mark.parametrize("name", FORMATS)
def test_the_credentials_of_a_source_are_kept_as_its_parents_or_left_out(colour, camera, pair, tmp_path, name):
    photo = signed_by(camera, source(tmp_path / f"a.{FORMATS[name]}"))
    assert has_credentials(photo)
    for suffix in {photo.suffix, ".tif"}:  # a TIFF holds tags of all kinds
        plain = colour(photo, tmp_path / f"plain{suffix}", signed=False)
        assert not has_credentials(plain.job.target) and b"jumb" not in plain.job.target.read_bytes()
        assert photos.CREDENTIALS in plain.notes
    signed = colour(photo, tmp_path / f"signed{photo.suffix}")
    assert photos.CREDENTIALS not in signed.notes and not any("credentials" in words for words in signed.warnings)
    store = store_of(signed.job.target, pair / keys.ROOT, camera / keys.ROOT)
    assert store["validation_state"] == "Trusted" and len(store["manifests"]) == 2
    (ingredient,) = active(store)["ingredients"]
    assert store["manifests"][ingredient["active_manifest"]]["signature_info"]["common_name"] == "A Camera"


@pytest.mark.parametrize("where", ["picture", "manifest"])
def test_credentials_of_a_source_that_do_not_hold_are_told(colour, camera, tmp_path, where):
    photo = signed_by(camera, source(tmp_path / "a.jpg"))
    data = photo.read_bytes()
    place = len(data) - 300 if where == "picture" else data.index(b"digitalCapture")
    photo.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    outcome = colour(photo, tmp_path / "b.jpg")
    assert any("content credentials of its source do not hold" in words for words in outcome.warnings)
    check(tmp_path / "b.jpg.json", words=["the content credentials of its source, a.jpg, did not hold"])


LEADS_ELSEWHERE = b'xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="https://127.0.0.1:9/a.c2pa"'


def with_xmp(path, attributes):
    """A grey photograph whose XMP has these attributes."""
    about = b'#"><rdf:Description rdf:about="" ' + attributes + b"/></rdf:RDF>"
    like = photos.Metadata(xmp=XMP.replace(b'#"/>', about))
    image = np.repeat(GREY[..., None], 3, 2)
    photos.write(path, image, photos.Photo(image, None, photos.file_format(path), like))
    return path


def test_xmp_does_not_lead_to_credentials_that_do_not_hold(colour, tmp_path):
    photo = with_xmp(tmp_path / "a.png", LEADS_ELSEWHERE)
    assert b"a.c2pa" in photos.read(photo).metadata.xmp
    assert b"a.c2pa" not in photos.read(colour(photo, tmp_path / "b.png").job.target).metadata.xmp


def test_credentials_that_are_elsewhere_are_not_fetched(capsys, tmp_path):
    code, out, _ = console.run(capsys, "verify", with_xmp(tmp_path / "a.jpg", LEADS_ELSEWHERE))
    assert code == 1 and "nothing is fetched here" in out and "127.0.0.1:9" in out


def test_a_picture_that_only_talks_of_manifests_is_not_taken_for_a_signed_one(colour, tmp_path):
    colour(with_xmp(tmp_path / "a.png", b'xmlns:n="urn:n" n:n="jumdc2pa"'), tmp_path / "b.png", signed=False)
    assert check(tmp_path / "b.png.json") == "as it says"


# --- all of it, or nothing ---


def test_a_copy_that_cannot_be_signed_leaves_everything_as_it_was(colour, monkeypatch, tmp_path):
    photo = source(tmp_path / "a.png")
    colour(photo, tmp_path / "out" / "b.jp2")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert before.keys() == {"b.jp2", "b.jp2.json", "b.jp2.json.jws", "b.jp2.c2pa"}

    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(signatures, "sign", fails)
    for target in ("b.jp2", "c.png"):
        with pytest.raises(photos.PhotoError, match="disk is full"):
            colour(photo, tmp_path / "out" / target, overwrite=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_a_time_stamp_that_cannot_be_had_is_told(colour, tmp_path):
    with pytest.raises(photos.PhotoError, match=r"could not be signed.*--sign-tsa"):
        colour(source(tmp_path / "a.png"), tmp_path / "b.png", sign_tsa="http://127.0.0.1:9/")
    assert not (tmp_path / "b.png").exists()


def test_an_unsigned_copy_takes_all_that_was_of_a_signed_one(colour, tmp_path):
    photo = source(tmp_path / "a.png")
    assert colour(photo, tmp_path / "b.jp2").status == "coloured"
    assert "another signature" in colour(photo, tmp_path / "b.jp2", signed=False).reason
    colour(photo, tmp_path / "b.jp2", signed=False, overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "b.jp2", "b.jp2.json"}
    check(tmp_path / "b.jp2.json")


def test_a_manifest_never_takes_the_place_of_another_file(colour, tmp_path):
    photo = source(tmp_path / "a.png")
    (tmp_path / "b.jp2.c2pa").write_text("somebody's")
    with pytest.raises(photos.PhotoError, match=r"b\.jp2\.c2pa is there already"):
        colour(photo, tmp_path / "b.jp2")
    colour(photo, tmp_path / "b.png")
    assert (tmp_path / "b.jp2.c2pa").read_text() == "somebody's"


def test_refreshed_copies_are_signed_again(colour, pair, tmp_path):
    for suffix in ("jpg", "tif"):
        photo = source(tmp_path / f"a.{suffix}")
        target = colour(photo, tmp_path / f"b.{suffix}").job.target
        photo.write_bytes(source(tmp_path / f"c.{suffix}", iptc=b"\x1c\x02\x50\0\3Ann").read_bytes())
        with pytest.raises(photos.PhotoError, match="--sign-key"):
            colour(photo, target, signed=False, refresh_metadata=True)
        assert colour(photo, target, refresh_metadata=True).status == "refreshed"
        assert photos.read(target).metadata.iptc == b"\x1c\x02\x50\0\3Ann"
        assert store_of(target)["validation_state"] == "Valid"
        check(tmp_path / f"b.{suffix}.json", pair)


def test_signed_copies_go_to_urls_with_all_that_is_theirs(colour, pair, tmp_path):
    photo, url = source(tmp_path / "a.png"), f"file://{tmp_path}/out/b.jp2"
    colour(photo, url)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"b.jp2", "b.jp2.json", "b.jp2.json.jws", "b.jp2.c2pa"}
    said = (tmp_path / "out" / "b.jp2.json").read_bytes()
    assert signatures.check(said, (tmp_path / "out" / "b.jp2.json.jws").read_bytes()).who == "City Archive"
    colour(photo, url, signed=False, overwrite=True)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"b.jp2", "b.jp2.json"}


def test_workers_are_told_where_the_key_is_and_never_what_it_is(capsys, monkeypatch, tmp_path, pair, weights):
    given = {}

    def run(jobs, address, workers, setup, folders):
        given["setup"] = setup
        yield from ()

    monkeypatch.setattr(colorize_cluster, "run", run)
    monkeypatch.chdir(pair)
    photo = source(tmp_path / "a.png")
    signing = ["--sign-key", keys.KEY, "--sign-cert", keys.CHAIN]
    console.run(capsys, "colorize", photo, "--ckpt", weights, "--cluster", "local", *signing)
    setup = given["setup"]
    assert setup.options.sign_key == str(pair / keys.KEY) and setup.seen.keys() >= {
        str(pair / keys.KEY),
        str(pair / keys.CHAIN),
    }
    secret = (pair / keys.KEY).read_bytes().split(b"\n")[1]
    assert secret not in pickle.dumps(setup)
    away = dataclasses.replace(setup, seen={str(tmp_path / "key.pem"): "the key's file key.pem"})
    assert "does not see the key's file key.pem" in str(colorize_cluster.Worker(away)._problem)
    other = dataclasses.replace(setup.options, sign_cert=str(photo))
    assert "holds no certificates" in str(colorize_cluster.Worker(dataclasses.replace(setup, options=other))._problem)


def test_names_leave_room_for_the_signature(tmp_path):
    photo = source(tmp_path / ("x" * 233 + ".png"))
    (job,) = places.jobs([(tmp_path, photo)], tmp_path / "out", Options())
    assert not job.problem
    (job,) = places.jobs([(tmp_path, photo)], tmp_path / "out", Options(sign_key="k", sign_cert="c"))
    assert "too long" in job.problem


def test_the_command_passes_the_options_on(pair):
    args = colorize_command_args(*arguments(pair), "--sign-tsa", "http://stamps.example")
    options = colorize_command._options(args)
    assert options.sign_key == os.path.abspath(pair / keys.KEY) and options.sign_tsa == "http://stamps.example"


def colorize_command_args(*given):
    from colorjax import cli

    return cli._parser().parse_args(["colorize", "a.jpg", *map(str, given)])


def test_the_trial_of_a_key_asks_nobody_for_a_stamp(pair):
    stamps = "http://127.0.0.1:9/nobody"
    assert manifests.ready(keys.Place(*options_of(pair).values(), stamps)).stamps == stamps
