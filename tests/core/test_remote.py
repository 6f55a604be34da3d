"""A server of files that knows no ranges, as Python's own, and answers some paths with errors."""

import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import pytest

from dimmagen.core import storage
from dimmagen.core.errors import RefusedError, UnavailableError
from dimmagen.core.storage import remote
from dimmagen.core.storage.filesystems import open_filesystem

pytest.importorskip("aiohttp", reason="no aiohttp: pip install aiohttp")


class _Handler(SimpleHTTPRequestHandler):
    tag = ""

    def end_headers(self):
        if self.tag:
            self.send_header("ETag", self.tag)
        super().end_headers()

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer(super().do_HEAD)

    def do_GET(self):
        self._answer(super().do_GET)

    def _answer(self, send):
        status = self.path.strip("/").split("/")[0]
        self.send_error(int(status)) if status.isdigit() else send()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    (folder / "set").mkdir()
    (folder / "set" / "a.bin").write_bytes(bytes(range(200)))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder))) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def test_a_part_is_that_part_also_where_the_whole_file_is_sent(server):
    path = storage.join(server, "set", "a.bin")
    assert storage.read_range(path, 20, 5) == bytes(range(20, 25))
    assert storage.read_range(path, 150, 199) == bytes(range(150, 200))
    assert storage.read_range(path, 1, 300) == bytes(range(1, 200))
    with storage.open_binary(path) as file:
        file.seek(190)
        assert file.read(20) == bytes(range(190, 200))
        file.seek(0)
        assert file.read(3) == bytes(range(3))
    assert storage.size_and_sha256(path)[0] == 200


def test_of_a_server_that_knows_ranges_a_part_is_asked_for_alone():
    asked = []

    class Server:
        def cat_file(self, place, start, end):
            asked.append((place, start, end))
            return bytes(range(start, end))

    ranges = remote._Ranges(Server(), "set/a.bin", "http://x/set/a.bin")
    assert (ranges(5, 9), ranges(2, 3)) == (bytes(range(5, 9)), bytes([2]))
    assert asked == [("set/a.bin", 5, 9), ("set/a.bin", 2, 3)]


def test_a_tag_that_allows_other_bytes_is_no_stamp(server, monkeypatch):
    for tag, stamp in (('"1"', '"1"'), ('W/"1"', ""), ("", "")):
        monkeypatch.setattr(_Handler, "tag", tag)
        assert storage.stamp(f"{server}/set/a.bin") == stamp


@pytest.mark.parametrize(("status", "kind"), [(500, UnavailableError), (403, RefusedError)])
def test_an_answer_that_is_no_file_names_the_path_and_is_no_absence(server, status, kind):
    path = f"{server}/{status}/a.bin"
    for ask in (storage.read, storage.open_binary, storage.size_and_sha256, storage.exists):
        with pytest.raises(kind, match=rf"{status}/a.bin .*\({status}, "):
            ask(path)


def test_what_is_not_there_is_not_there(server):
    assert not storage.exists(f"{server}/set/b.bin")
    with pytest.raises(FileNotFoundError):
        storage.read(f"{server}/set/b.bin")


def test_a_place_that_cannot_be_written_to_is_one_sentence(server):
    with pytest.raises(RefusedError, match=r"new\.bin cannot be written to: give a local path"):
        storage.atomic_write(f"{server}/set/new.bin", b"data")


def test_the_root_of_a_file_system_is_no_local_folder_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    storage.atomic_write(storage.join("memory://", "of-a-test", "a.bin"), b"data")
    assert list(tmp_path.iterdir()) == []
    assert storage.read("memory://of-a-test/a.bin") == b"data"
    storage.remove("memory://of-a-test/a.bin")
    storage.remove("memory://of-a-test")


def test_a_server_that_is_no_s3_is_told_of_and_not_taken_for_a_missing_file(server, monkeypatch, capsys):
    s3fs = pytest.importorskip("s3fs")
    s3fs.S3FileSystem.clear_instance_cache()
    names = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    for name, value in zip(names, (server, "key", "secret"), strict=True):
        monkeypatch.setenv(name, value)
    for ask in (storage.exists, storage.is_folder, storage.list_names):
        with pytest.raises(RefusedError, match=r"s3://bucket/x .* is not an S3 server: check AWS_"):
            ask("s3://bucket/x")
    s3fs.S3FileSystem.clear_instance_cache()


def test_sftp_waits_half_a_minute_for_a_server_unless_the_user_has_set_that(monkeypatch):
    monkeypatch.setattr(fsspec.core, "url_to_fs", lambda url, **options: (options, url))
    for url, options in {
        "sftp://host/x": {"sftp": {"timeout": 30}},
        "simplecache::SSH://host/x": {"ssh": {"timeout": 30}},
        "ftp://host/x": {},
    }.items():
        assert open_filesystem(url)[0].filesystem == options
    monkeypatch.setitem(fsspec.config.conf, "sftp", {"timeout": 5})
    assert open_filesystem("sftp://host/x")[0].filesystem == {}


def test_what_a_library_logs_of_an_error_that_it_raises_is_not_printed_meanwhile():
    code = """
import logging, fsspec
from dimmagen.core.storage.filesystems import remote_filesystem
threads = logging.getLogger("paramiko.transport")
fsspec.core.url_to_fs = lambda url, **options: threads.error("at once") or (fsspec.filesystem("memory"), url)
with remote_filesystem("sftp://host/x"):
    threads.error("in the block")
threads.error("of the user")
print(logging.getLogger("paramiko").handlers)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "of the user\n")
