"""Photographs and copies by URL: the same bytes as on this machine, skipped and refused for the same reasons."""

import json
import re
import struct
import zlib

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from helpers.files import CAT, copies, multipage
from PIL import Image

from colorjax import cli, photos
from colorjax.archive import urls
from colorjax.archive.urls import Url

BUCKET = "memory://bucket"


@pytest.fixture
def bucket():
    """The files of an empty in-memory bucket."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    yield files
    files.store.clear()


@pytest.fixture
def album(tmp_path):
    folder = tmp_path / "mirror" / "album"
    (folder / "deep [1920]").mkdir(parents=True)
    for i, name in enumerate(["a.jpg", "b.png", "deep [1920]/c.tif", "deep [1920]/d #1 100%.webp"]):
        Image.fromarray(np.roll(CAT, 10 * i, axis=1)).save(folder / name)
    return folder


@pytest.fixture
def uploaded(bucket, album):
    for path in album.rglob("*.*"):
        if path.is_file():
            bucket.pipe_file(f"/bucket/album/{path.relative_to(album).as_posix()}", path.read_bytes())
    return f"{BUCKET}/album"


@pytest.fixture
def colorize(capsys, weights):
    def run(*arguments, out=f"{BUCKET}/out"):
        capsys.readouterr()
        code = cli.main([str(argument) for argument in ("colorize", *arguments, "--out", out, "--ckpt", weights)])
        return code, *capsys.readouterr()

    return run


def content(bucket, folder):
    return {key.removeprefix(f"/bucket/{folder}/"): bucket.cat_file(key) for key in bucket.find(f"/bucket/{folder}")}


def content_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_url_is_a_path_with_a_protocol():
    url = urls.place("memory://bucket/scans/a.jpg")
    assert isinstance(url, Url)
    assert str(url) == "memory://bucket/scans/a.jpg"
    assert str(url.with_name("b.jpg").parent / "c") == "memory://bucket/scans/c"
    assert str(url.relative_to(Url("memory://bucket"))) == "scans/a.jpg"
    assert str(urls.place("file:///tmp/a b.jpg")) == "/tmp/a b.jpg"
    assert str(urls.place("C:/a.jpg")) == "C:/a.jpg"
    assert str(urls.joined(Url("s3://bucket/out/x"), "../../in/a.jpg")) == "s3://bucket/in/a.jpg"
    assert urls.joined(Url("s3://bucket/out"), "../../../../bucket/a.jpg").parts[0] != "s3:"


def test_the_same_bytes_as_on_this_machine(colorize, uploaded, bucket, album, tmp_path):
    mirror = album.parent
    before = content(bucket, "album")
    code, out, err = colorize(uploaded, "--uncertainty")
    said = "the uncertainty of this network is not calibrated: it shows where, not how far\n"
    assert (code, out, err) == (0, f"{said}4 photographs coloured into {BUCKET}/out\n", "")
    assert colorize(album, "--uncertainty", out=mirror / "out")[0] == 0
    assert content(bucket, "out") == content_of(mirror / "out")
    assert len(content(bucket, "out")) == 12
    assert content(bucket, "album") == before
    for name, data in content(bucket, "out").items():  # a mirrored tree verifies
        path = tmp_path / "down" / "out" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    album.rename(tmp_path / "down" / "album")
    assert cli.main(["verify", str(tmp_path / "down" / "out")]) == 0


def test_file_urls_are_paths(colorize, album, tmp_path):
    code, out, _ = colorize(f"file://{album}", out=f"file://{tmp_path}/out")
    assert (code, out) == (0, f"4 photographs coloured into {tmp_path}/out\n")
    assert len(copies(tmp_path / "out")) == 4
    source = json.loads((tmp_path / "out" / "a.colorized.jpg.json").read_text())["source"]
    assert source["path"] == "../mirror/album/a.jpg"


def test_sidecars_name_sources_that_lie_elsewhere(colorize, uploaded, bucket, album, tmp_path, capsys):
    assert colorize(f"{uploaded}/a.jpg", out=tmp_path / "out")[0] == 0
    assert colorize(album / "b.png")[0] == 0
    capsys.readouterr()
    assert cli.main(["verify", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().out.endswith(f"a.colorized.jpg.json: the source {uploaded}/a.jpg is not there\n")
    (tmp_path / "down").mkdir()
    for name, data in content(bucket, "out").items():
        (tmp_path / "down" / name).write_bytes(data)
    assert cli.main(["verify", str(tmp_path / "down")]) == 0  # the source is a file:// URL, of this machine


@pytest.mark.parametrize("there", ["source", "copy", "both"])
def test_what_is_done_stays_done(colorize, uploaded, bucket, album, tmp_path, there):
    source = album if there == "copy" else uploaded
    out = tmp_path / "out" if there == "source" else f"{BUCKET}/out"
    assert colorize(source, out=out)[0] == 0
    known = "file://" + str(album / "b.png") if there == "copy" else f"{uploaded}/b.png"
    said = (content_of(tmp_path / "out") if there == "source" else content(bucket, "out"))["b.colorized.png.json"]
    assert json.loads(said)["source"]["path"] == ("../album/b.png" if there == "both" else known)
    code, words, err = colorize(source, "--strength", "0.5", out=out)
    assert (code, words) == (0, f"0 photographs coloured into {out}, 4 there already\n")
    assert err.count("its copy is there already, with another strength; --overwrite makes it anew\n") == 4
    if there == "source":
        (tmp_path / "out" / "b.colorized.png").unlink()
    else:
        bucket.rm_file("/bucket/out/b.colorized.png")
    assert colorize(source, out=out)[1] == f"1 photograph coloured into {out}, 3 there already\n"
    assert colorize(source, "--overwrite", out=out)[1] == f"4 photographs coloured into {out}\n"


def test_a_source_that_changed_since_is_named(colorize, uploaded, bucket):
    assert colorize(uploaded)[0] == 0
    bucket.pipe_file("/bucket/album/b.png", bucket.cat_file("/bucket/album/a.jpg"))
    code, _, err = colorize(uploaded)
    assert (code, err) == (1, f"{uploaded}/b.png: it has changed since its copy was made; --overwrite makes it anew\n")


@pytest.mark.parametrize("local", [False, True])
def test_the_copy_of_another_photograph_is_left_alone(colorize, uploaded, bucket, tmp_path, local):
    out = tmp_path / "out" if local else f"{BUCKET}/out"
    bucket.pipe_file("/bucket/other/a.jpg", bucket.cat_file("/bucket/album/b.png"))
    assert colorize(uploaded, out=out)[0] == 0
    before = content(bucket, "out")
    code, _, err = colorize(f"{BUCKET}/other", "--format", "jpeg", "--overwrite", out=out)
    known = f"{uploaded}/a.jpg" if local else "../album/a.jpg"
    assert (code, err) == (1, f"{BUCKET}/other/a.jpg: the copy of {known} is in its place; name another --out\n")
    assert content(bucket, "out") == before


def test_what_another_program_put_there_is_left_alone(colorize, uploaded, bucket):
    bucket.pipe_file("/bucket/out/a.colorized.jpg", b"mine")
    code, _, err = colorize(uploaded)
    words = f"{BUCKET}/out/a.colorized.jpg is there already, and not by colorjax; --overwrite replaces it"
    assert (code, err) == (1, f"{uploaded}/a.jpg: {words}\n")
    assert bucket.cat_file("/bucket/out/a.colorized.jpg") == b"mine"
    assert colorize(uploaded, "--overwrite")[0] == 0


def test_maps_that_no_copy_has_any_more_are_removed(colorize, bucket, tmp_path):
    multipage(tmp_path / "a.tif")
    bucket.pipe_file("/bucket/album/a.tif", (tmp_path / "a.tif").read_bytes())
    assert colorize(f"{BUCKET}/album", "--uncertainty")[0] == 0
    maps = ["a.tif.page2.uncertainty.png", "a.tif.page3.uncertainty.png", "a.tif.uncertainty.png"]
    assert [name for name in content(bucket, "out") if name.endswith("png")] == maps
    Image.fromarray(CAT).save(tmp_path / "a.tif")
    bucket.pipe_file("/bucket/album/a.tif", (tmp_path / "a.tif").read_bytes())
    assert colorize(f"{BUCKET}/album", "--overwrite")[0] == 0
    assert set(content(bucket, "out")) == {"a.colorized.tif", "a.colorized.tif.json"}


def test_failures_are_named_by_their_urls(colorize, uploaded, bucket, monkeypatch, tmp_path):
    bucket.pipe_file("/bucket/album/bad.jpg", b"no picture")
    fetch = MemoryFileSystem.get_file

    def deny(self, key, path, **options):
        if key.endswith("b.png"):
            raise RuntimeError("the network\nis down")
        if key.endswith("c.tif"):
            raise FileNotFoundError(key)
        return fetch(self, key, path, **options)

    monkeypatch.setattr(MemoryFileSystem, "get_file", deny)
    code, out, _ = colorize(uploaded, f"{BUCKET}/none.jpg", "--json", "--report", tmp_path / "r.json")
    assert code == 1
    lines = [json.loads(line) for line in out.splitlines()]
    assert {line["source"].rpartition("/")[2]: line["reason"] for line in lines if line["status"] == "failed"} == {
        "bad.jpg": "not a picture, or of an unknown format",
        "b.png": f"{uploaded}/b.png: the network is down",
        "c.tif": "the file is not there",
        "none.jpg": "no such file or folder",
    }
    assert json.loads((tmp_path / "r.json").read_text())["counts"] == {"coloured": 2, "failed": 4}
    assert lines[0]["copy"] == f"{BUCKET}/out/a.colorized.jpg"


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("failing", ["a.colorized.jpg", "a.colorized.jpg.json"])
def test_a_copy_that_cannot_be_brought_leaves_all_as_it_was(colorize, uploaded, bucket, monkeypatch, there, failing):
    if there:
        assert colorize(uploaded)[0] == 0
    before, copy = content(bucket, "out"), MemoryFileSystem.cp_file

    def fail(self, old, new, **options):
        if new.endswith(failing) and fail.left:
            fail.left -= 1
            raise OSError("quota exceeded")
        return copy(self, old, new, **options)

    fail.left = 1
    monkeypatch.setattr(MemoryFileSystem, "cp_file", fail)
    code, _, err = colorize(f"{uploaded}/a.jpg", "--overwrite", "--strength", "0.5")
    assert (code, err) == (1, f"{uploaded}/a.jpg: {BUCKET}/out/{failing}: quota exceeded\n")
    assert content(bucket, "out") == before


def test_the_copy_appears_last_and_whole(colorize, uploaded, bucket, monkeypatch):
    order, copy = [], MemoryFileSystem.cp_file

    def note(self, old, new, **options):
        assert re.fullmatch(r"\.[0-9a-f]{32}\.part", old.rpartition("/")[2])
        order.append(new.rpartition("/")[2])
        return copy(self, old, new, **options)

    monkeypatch.setattr(MemoryFileSystem, "cp_file", note)
    assert colorize(f"{uploaded}/a.jpg", "--uncertainty")[0] == 0
    assert order == ["a.jpg.uncertainty.png", "a.colorized.jpg.json", "a.colorized.jpg"]


def test_an_object_store_needs_no_second_name(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(urls, "_WHOLE_OBJECTS", ("memory",))
    monkeypatch.setattr(MemoryFileSystem, "cp_file", None)
    (tmp_path / "a").write_bytes(b"x")
    urls.put(tmp_path / "a", Url(f"{BUCKET}/b/c"))
    assert content(bucket, "b") == {"c": b"x"}


def test_hidden_and_own_and_other_files_are_passed_over(bucket):
    names = ["z/a.jpg", "a.JPG", "b.colorized.jpg", "b.jpg.uncertainty.png", "b.colorized.jpg.json", ".h/x.jpg", ".h/y/z.jpg"]
    names += ["raw.dng", "a.GIF", "a/b.psd", "notes.txt", ".c.jpg", "q/.h/x.jpg", "a/b.png"]
    for name in names:
        bucket.pipe_file(f"/bucket/album/{name}", b"")
    passed_over = photos.PassedOver()
    found = list(urls.find(Url(f"{BUCKET}/album"), passed_over))
    assert [str(url) for _, url in found] == [f"{BUCKET}/album/{name}" for name in ("a/b.png", "a.JPG", "z/a.jpg")]
    assert {root for root, _ in found} == {Url(f"{BUCKET}/album")}
    kinds = (
        "raw files of cameras (develop them to TIFF)",
        "GIFs (save them as PNG)",
        "Photoshop documents (export them as TIFF)",
    )
    assert passed_over == {"hidden folders": 2, "other files": 2} | dict.fromkeys(kinds, 1)
    assert list(urls.find(Url(f"{BUCKET}/album/a.JPG"), passed_over)) == [
        (Url(f"{BUCKET}/album"), Url(f"{BUCKET}/album/a.JPG"))
    ]


def test_keys_that_lead_out_of_their_folder_are_passed_over(monkeypatch, bucket):
    keys = ["/bucket/album/../../../etc/a.jpg", "/bucket/album/b//c.jpg", "/bucket/album/./d.jpg", "/bucket/album/e.jpg"]
    monkeypatch.setattr(MemoryFileSystem, "find", lambda self, key, **options: keys)
    passed_over = photos.PassedOver()
    assert [url.name for _, url in urls.find(Url(f"{BUCKET}/album"), passed_over)] == ["e.jpg"]
    assert passed_over == {"keys that are no path": 3}


def test_a_dry_run_leaves_nothing(colorize, uploaded, bucket):
    code, out, _ = colorize(uploaded, "--dry-run")
    assert code == 0
    assert out.splitlines()[0] == f"to colour: {uploaded}/a.jpg -> {BUCKET}/out/a.colorized.jpg"
    assert content(bucket, "out") == {}


def test_weights_by_url(capsys, album, bucket, weights, tmp_path):
    for path in weights.rglob("*"):
        if path.is_file():
            bucket.pipe_file(f"/bucket/weights/{path.relative_to(weights).as_posix()}", path.read_bytes())
    for ckpt, out in ((f"{BUCKET}/weights", "one"), (weights, "two")):
        assert cli.main(["colorize", str(album), "--out", str(tmp_path / out), "--ckpt", str(ckpt)]) == 0
    assert content_of(tmp_path / "one") == content_of(tmp_path / "two")
    assert cli.main(["colorize", str(album), "--out", str(tmp_path / "x"), "--ckpt", f"{BUCKET}/none"]) == 2
    assert "does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "words"),
    [("zzz://bucket/a", "zzz://bucket/a: Protocol not known: zzz"), ("s3://bucket/a", "Install s3fs to access S3")],
)
def test_protocols_that_are_not_known_or_not_installed(colorize, tmp_path, monkeypatch, url, words):
    def missing(*_, **__):
        raise ImportError("Install s3fs to access S3")

    if url.startswith("s3"):
        monkeypatch.setattr(fsspec.core, "get_filesystem_class", missing)
        monkeypatch.setattr(fsspec.core, "filesystem", missing)
    code, _, err = colorize(url, out=tmp_path / "out")
    assert code == 2
    assert words in err
    assert err.count("\n") == 1


def test_a_listing_that_fails_is_named(colorize, bucket, monkeypatch):
    def deny(*_, **__):
        raise PermissionError("no credentials")

    monkeypatch.setattr(MemoryFileSystem, "info", deny)
    assert colorize(f"{BUCKET}/album") == (2, "", f"colorjax: {BUCKET}/album: no credentials\n")


def test_a_report_takes_no_copy_s_place(colorize, uploaded, tmp_path):
    assert colorize(uploaded, "--report", tmp_path / "r.jpg")[0] == 2


def test_names_decide_the_format_of_what_is_not_read_beforehand(colorize, bucket, tmp_path):
    Image.fromarray(CAT).save(tmp_path / "a.bmp")
    bucket.pipe_file("/bucket/album/a.bmp", (tmp_path / "a.bmp").read_bytes())
    Image.fromarray(CAT).save(tmp_path / "b.jpg")
    bucket.pipe_file("/bucket/album/b.png", (tmp_path / "b.jpg").read_bytes())
    assert colorize(f"{BUCKET}/album")[0] == 0
    assert photos.read(content(bucket, "out")["a.colorized.png"]).file_format == "PNG"
    assert photos.read(content(bucket, "out")["b.colorized.png"]).file_format == "PNG"


@pytest.mark.parametrize("text", ["file://mnt/out", "local://out", "hdfs:///data/x", "sftp:///x"])
def test_urls_that_would_name_another_place_are_refused(text):
    with pytest.raises(ValueError, match=r"three slashes|must name the host"):
        urls.place(text)


@pytest.mark.parametrize("fails", [True, False])
def test_a_rename_that_fails_leaves_what_was_there(fails):
    class Broken(MemoryFileSystem):
        def mv(self, old, new, **_):
            if old.endswith("/old"):
                if fails:
                    raise OSError("the connection is gone")
                return
            self.store[new] = self.store.pop(old)

    files = Broken(skip_instance_cache=True)
    files.pipe("/broken/old", b"new")
    files.pipe("/broken/new", b"old")
    with pytest.raises(OSError, match="connection is gone" if fails else "could not be renamed"):
        urls._rename(files, "/broken/old", "/broken/new")
    assert files.cat("/broken/new") == b"old"


@pytest.mark.parametrize("tells", [True, False])
def test_a_file_system_that_does_not_rename_onto_a_file_still_replaces_it(tells):
    class Strict(MemoryFileSystem):
        def mv(self, old, new, **_):
            if self.exists(new):
                if tells:
                    raise OSError("there is a file")
                return
            self.store[new] = self.store.pop(old)

    files = Strict(skip_instance_cache=True)
    files.pipe("/strict/old", b"new")
    files.pipe("/strict/new", b"old")
    urls._rename(files, "/strict/old", "/strict/new")
    assert files.cat("/strict/new") == b"new" and not files.exists("/strict/old")


def test_a_copy_elsewhere_is_known_by_its_mark(colorize, uploaded, bucket):
    assert colorize(f"{uploaded}/a.jpg")[0] == 0
    bucket.pipe_file("/bucket/album/renamed.jpg", bucket.cat_file("/bucket/out/a.colorized.jpg"))
    code, _, err = colorize(f"{uploaded}/renamed.jpg")
    assert (code, err) == (1, f"{uploaded}/renamed.jpg: it is a copy that colorjax made; name the photograph itself\n")


def test_metadata_are_carried_over_where_maps_stay_there(colorize, uploaded, bucket):
    """The maps are not fetched for that, and need not be."""
    assert colorize(f"{uploaded}/b.png", "--uncertainty")[0] == 0
    before = content(bucket, "out")
    data, text = bucket.cat_file("/bucket/album/b.png"), b"tEXtTitle\0title"
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    bucket.pipe_file("/bucket/album/b.png", data[:-12] + chunk + data[-12:])
    code, out, err = colorize(f"{uploaded}/b.png", "--refresh-metadata")
    assert (code, err) == (0, "")
    assert out.endswith("the metadata of 1 carried over\n")
    after = content(bucket, "out")
    assert after["b.png.uncertainty.png"] == before["b.png.uncertainty.png"]
    assert after["b.colorized.png"] != before["b.colorized.png"]
