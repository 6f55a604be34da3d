"""Storage on S3, with a local server whose requests fail, break off or hang."""

import hashlib
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from dimmagen.core import storage
from dimmagen.core.errors import RefusedError, UnavailableError, UsageError
from dimmagen.core.storage import s3
from dimmagen.sources.archives import list_entries, read_entry
from tests.commands import exit_code
from tests.dataset_helpers import write_photos
from tests.killing import wait_for

MIB = 2**20


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of 5 MiB, the minimum of S3, so that 12 MiB are uploaded in three parts."""
    monkeypatch.setattr(s3, "_PART", 5 * MIB)


def error(*arguments):
    from tests.s3_server import error

    return error(*arguments)


def reset(*arguments):
    from tests.s3_server import reset

    return reset(*arguments)


OPERATIONS = {
    "GetObject": lambda root: storage.read(f"{root}/a"),
    "HeadObject": lambda root: storage.exists(f"{root}/a"),
    "ListObjects": lambda root: storage.list_names(root),
    "PutObject": lambda root: storage.atomic_write(f"{root}/b", b"b"),
    "DeleteObject": lambda root: storage.remove(f"{root}/a"),
    "UploadPart": lambda root: storage.atomic_write(f"{root}/c", bytes(12 * MIB)),
    "ListMultipartUploads": lambda root: storage.remove_unfinished(root),
}


def test_names_folders_and_ranges_are_those_of_a_local_folder(bucket, tmp_path):
    bucket.put("out/empty-folder/", b"")  # as S3 consoles create them
    results = []
    for root in (str(tmp_path / "out"), f"{bucket.url}/out"):
        storage.atomic_write(f"{root}/shards/a.tar", b"0123456789")
        storage.atomic_write(f"{root}/b.txt", b"")
        storage.remove(f"{root}/missing")
        results.append(
            (
                [name for name in storage.list_names(root) if name != "empty-folder"],
                storage.list_names(f"{root}/missing"),
                [storage.exists(f"{root}/{name}") for name in ("shards", "shards/a.tar", "missing", "s")],
                [storage.is_folder(f"{root}/{name}") for name in ("shards", "shards/a.tar", "missing")],
                [storage.is_file(f"{root}/{name}") for name in ("shards", "shards/a.tar", "missing")],
                [
                    storage.read_range(f"{root}/shards/a.tar", *span)
                    for span in ((2, 3), (8, 9), (20, 1), (1, 0))
                ],
                storage.read(f"{root}/b.txt"),
                storage.size_and_sha256(f"{root}/shards/a.tar"),
                [(entry.name, read_entry(entry.locator)) for entry in list_entries(root)],
            )
        )
    assert results[0] == results[1]
    for missing in (storage.read, storage.open_binary, storage.size_and_sha256):
        with pytest.raises(FileNotFoundError):
            missing(f"{bucket.url}/out/missing")


def test_an_open_object_reads_like_a_file_in_few_requests(bucket):
    data = b"".join(number.to_bytes(4, "big") for number in range(3 * MIB))
    bucket.put("a", data)
    bucket.server.counts()
    with storage.open_binary(f"{bucket.url}/a") as file:
        assert file.read(512) == data[:512]
        assert file.seek(-22, 2) == len(data) - 22
        assert file.read() == data[-22:]
        assert file.seek(9 * MIB) == 9 * MIB
        assert file.read(100) == data[9 * MIB : 9 * MIB + 100]
        file.seek(0)
        assert hashlib.file_digest(file, "sha256").digest() == hashlib.sha256(data).digest()
    assert bucket.server.counts() == {"GetObject": 5, "HeadObject": 1}


def test_what_another_process_wrote_or_removed_is_seen_at_once(bucket):
    root = f"{bucket.url}/out"
    assert (storage.list_names(root), storage.exists(root)) == ([], False)
    bucket.put("out/a", b"1")
    assert (storage.list_names(root), storage.exists(f"{root}/a")) == (["a"], True)
    assert [(name, size) for name, size, _ in storage.find_files(root)] == [("a", 1)]
    bucket.put("out/b", b"1")
    assert storage.list_names(root) == ["a", "b"]
    bucket.client.delete_object(Bucket=bucket.name, Key="out/b")
    assert storage.list_names(root) == ["a"]
    bucket.put("out/a", b"22")
    assert storage.size_and_sha256(f"{root}/a")[0] == 2
    bucket.client.delete_object(Bucket=bucket.name, Key="out/a")
    assert (storage.list_names(root), storage.exists(f"{root}/a")) == ([], False)
    assert storage.find_files(root) == []


def test_a_folder_of_more_names_than_one_response_holds_is_listed_completely(bucket):
    names = [f"{number:04d}" for number in range(1001)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: bucket.put(f"out/{name}", b""), names))
    assert storage.list_names(f"{bucket.url}/out") == names


def test_an_object_appears_whole_at_the_end_of_the_block_and_never_from_a_failed_writer(bucket, small_parts):
    with storage.atomic_writer(f"{bucket.url}/a") as file:
        file.write(bytes(12 * MIB))
        file.flush()
        assert bucket.keys() == []
    assert "UploadPart" in bucket.server.counts()
    with pytest.raises(ZeroDivisionError), storage.atomic_writer(f"{bucket.url}/a") as file:
        raise ZeroDivisionError
    assert storage.size_and_sha256(f"{bucket.url}/a")[0] == 12 * MIB
    assert bucket.uploads() == []


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_request_that_fails_is_made_again(operation, bucket, small_parts):
    bucket.put("a", b"1")
    bucket.server.counts()
    slow = bucket.server.fail(error("503 Slow Down", "SlowDown"), operation)
    cut = bucket.server.fail(reset, operation)
    broken = bucket.server.fail(error("500 Internal Server Error", "InternalError"), operation)
    OPERATIONS[operation](bucket.url)
    assert slow.met == cut.met == broken.met == 1
    assert bucket.uploads() == []


def test_a_store_that_asks_to_wait_in_words_of_its_own_is_asked_again(bucket):
    fault = bucket.server.fail(error("429 Too Many Requests", "TooManyRequests"), "PutObject")
    storage.atomic_write(f"{bucket.url}/b", b"b")
    assert fault.met == 1
    assert bucket.keys() == ["b"]


def test_an_incomplete_response_is_requested_again(bucket):
    data = bytes(range(256)) * 1024
    bucket.put("a", data)
    fault = bucket.server.fail(bucket.server.half, "GetObject", times=2)
    assert storage.read(f"{bucket.url}/a") == data
    fault.times = 4
    assert storage.read_range(f"{bucket.url}/a", 100, 50_000) == data[100:50_100]
    assert fault.met == 4


def test_a_range_of_other_bytes_is_requested_again(bucket):
    data = bytes(range(256)) * 1024
    bucket.put("a", data)
    fault = bucket.server.fail(bucket.server.cut, "GetObject", times=2)
    assert storage.read_range(f"{bucket.url}/a", 100, 50_000) == data[100:50_100]
    assert fault.met == 2
    assert storage.read_range(f"{bucket.url}/a", len(data) - 9, 50_000) == data[-9:]
    fault.times = 4
    assert storage.read(f"{bucket.url}/a") == data  # by its checksum
    assert fault.met == 4


def test_a_server_that_sends_whole_objects_gives_their_parts_and_is_told_of(bucket, caplog):
    data = bytes(range(256)) * 1024
    bucket.put("a", data)
    fault = bucket.server.fail(bucket.server.whole, "GetObject", times=1000)
    spans = [(100, 50_000), (0, 10), (len(data) - 5, 10), (100, len(data))]
    for start, size in spans:
        assert storage.read_range(f"{bucket.url}/a", start, size) == data[start : start + size]
    with storage.open_binary(f"{bucket.url}/a") as file:
        file.seek(1000)
        assert file.read(100) == data[1000:1100]
    assert fault.met == len(spans) + 1
    [told] = [one.getMessage() for one in caplog.records if "sends whole files" in one.getMessage()]
    assert bucket.url in told


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name != "DeleteObject"])
def test_an_answer_that_is_not_of_s3_is_requested_again_and_never_believed(
    operation, bucket, small_parts, monkeypatch
):
    """A page for all requests was an empty folder, a file of other bytes, or a file that was stored."""
    from tests.s3_server import page

    bucket.put("a", b"1")
    fault = bucket.server.fail(page, operation)
    OPERATIONS[operation](bucket.url)
    assert fault.met == 1
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    bucket.server.fail(page, operation)
    with pytest.raises(UnavailableError, match=f"{bucket.url}.*(not that of an S3 server|500).*run the same"):
        OPERATIONS[operation](bucket.url)
    assert bucket.uploads() == []


def test_a_response_that_times_out_is_requested_again(bucket, monkeypatch):
    from tests.s3_server import hang

    monkeypatch.setattr(s3, "_TIMEOUT", 2)
    bucket.put("a", b"1")
    fault = bucket.server.fail(hang(10), "GetObject")
    assert storage.read(f"{bucket.url}/a") == b"1"
    assert fault.met == 1


@pytest.mark.parametrize("is_chosen", [False, True])
@pytest.mark.parametrize("operation", ["GetObject", "HeadObject", "ListObjects"])
def test_a_server_that_never_answers_is_given_up_after_three_timeouts_and_told_of(
    operation, is_chosen, bucket, monkeypatch, caplog
):
    """Eight of a minute each, as of other failures, are too long; who sets their number gets it."""
    from tests.s3_server import hang

    if is_chosen:
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "4")
    monkeypatch.setattr(s3, "_TIMEOUT", 0.2)
    monkeypatch.setattr(s3, "_last_told", float("-inf"))
    bucket.put("a", b"1")
    fault = bucket.server.fail(hang(1), operation, times=1000)
    with pytest.raises(UnavailableError, match=r"(?i)timeout.*run the same command again"):
        OPERATIONS[operation](bucket.url)
    assert fault.met == (4 if is_chosen else 3)
    [told] = [one.getMessage() for one in caplog.records if one.name == s3.__name__]
    assert "no answer in attempt 1" in told
    assert bucket.server.url in told


@pytest.mark.parametrize("operation", OPERATIONS)
def test_after_the_last_attempt_the_error_says_what_where_and_what_to_do(
    operation, bucket, small_parts, monkeypatch
):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    bucket.put("a", b"1")
    fault = bucket.server.fail(error("503 Slow Down", "SlowDown"), operation, times=1000)
    with pytest.raises(UnavailableError, match=f"{bucket.url}.*(SlowDown|503).*run the same"):
        OPERATIONS[operation](bucket.url)
    if operation != "UploadPart":  # its parts are retried one by one
        assert fault.met == 2
    bucket.server.faults.clear()
    assert bucket.keys() == ["a"]
    assert bucket.uploads() == []


def test_the_parts_of_a_failed_upload_are_discarded_and_the_old_object_stays(
    bucket, small_parts, monkeypatch
):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    bucket.put("c", b"old")
    bucket.server.fail(error("500 Internal Server Error", "InternalError"), "CompleteMultipartUpload")
    with pytest.raises(UnavailableError):
        OPERATIONS["UploadPart"](bucket.url)
    assert bucket.uploads() == []
    assert storage.read(f"{bucket.url}/c") == b"old"


@pytest.mark.needs("signals")
def test_a_process_killed_in_mid_upload_leaves_no_object_and_its_parts_are_discarded(bucket):
    from tests.s3_server import hang

    bucket.begin_upload("elsewhere/b")
    fault = bucket.server.fail(hang(1), "CompleteMultipartUpload", times=1000)
    code = (
        "from dimmagen.core import storage; from dimmagen.core.storage import s3; s3._PART = 5 * 2**20;"
        f"storage.atomic_write('{bucket.url}/out/shards/a.tar', bytes(12 * 2**20))"
    )
    run = subprocess.Popen([sys.executable, "-c", code])
    wait_for(lambda: fault.met > 0, run)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert bucket.keys() == []
    assert bucket.uploads() == ["elsewhere/b", "out/shards/a.tar"]
    assert storage.remove_unfinished(f"{bucket.url}/out/") == []
    assert storage.remove_unfinished(f"{bucket.url}/out/shards") == ["a.tar"]
    assert bucket.uploads() == ["elsewhere/b"]


def test_without_permission_to_list_uploads_a_run_continues(bucket):
    fault = bucket.server.fail(error("403 Forbidden", "AccessDenied"), "ListMultipartUploads")
    assert storage.remove_unfinished(f"{bucket.url}/out") == []
    assert fault.met == 1


@pytest.mark.parametrize(
    "code", ["InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "AccessDenied"]
)
def test_refused_credentials_end_at_once(code, bucket):
    for operation in OPERATIONS:
        if operation not in ("ListMultipartUploads", "UploadPart"):
            fault = bucket.server.fail(error("403 Forbidden", code), operation, times=1000)
            with pytest.raises(RefusedError, match=rf"{bucket.url}.*refused.*AWS_ACCESS_KEY_ID"):
                OPERATIONS[operation](bucket.url)
            assert fault.met == 1


def test_a_clock_that_is_wrong_is_not_told_as_wrong_credentials(bucket):
    bucket.server.fail(error("403 Forbidden", "RequestTimeTooSkewed"), "PutObject")
    with pytest.raises(
        RefusedError, match=rf"{bucket.url}.*the clock of this machine is wrong.*set the clock"
    ):
        storage.atomic_write(f"{bucket.url}/b", b"b")


def test_missing_credentials_and_a_missing_bucket_are_reported_at_once(bucket, monkeypatch, capsys, tmp_path):
    photos = str(write_photos(tmp_path / "photos", 1))
    out = "s3://no-such-bucket/out"
    bucket.server.counts()
    commands = [
        ["build-mixhq", "--source", photos, "--out", out],
        ["dim", "--profile", "linear", "--source", photos, "--shards", out, "--executor", "serial"],
        ["dim", "--profile", "linear", "--source", out, "--shards", "out", "--executor", "serial"],
        ["verify", out],
    ]
    for words in commands:
        assert exit_code(*words) == 2
        assert "there is no such bucket" in capsys.readouterr().err
        assert bucket.server.counts() == {"HeadObject": 1, "ListObjects": 1}  # nothing is asked twice
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    _new_client()
    assert exit_code("verify", f"{bucket.url}/out") == 2
    message = capsys.readouterr().err
    assert "needs credentials" in message
    assert "set AWS_ACCESS_KEY_ID" in message
    assert bucket.server.counts() == {}


def test_without_s3fs_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    assert exit_code("verify", "s3://bucket/out") == 2
    assert "pip install 'dimmagen[s3]'" in capsys.readouterr().err


def test_a_url_of_an_unknown_protocol_is_a_usage_error():
    with pytest.raises(UsageError, match="abc://x/y cannot be opened"):
        storage.exists("abc://x/y")


def test_an_outage_while_photos_are_judged_is_never_a_verdict_on_them(bucket, monkeypatch, capsys, tmp_path):
    url = bucket.upload(write_photos(tmp_path / "photos", 3), "photos")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    bucket.server.fail(error("503 Slow Down", "SlowDown"), "GetObject", key="photo01")
    assert exit_code("build-mixhq", "--source", url, "--out", f"{bucket.url}/mixhq") == 1
    message = capsys.readouterr().err
    assert "photo01.jpg could not be read or written" in message
    assert "run the same command again" in message
    assert "Traceback" not in message
    assert bucket.keys("mixhq") == []


def test_a_photo_that_came_in_part_is_never_judged(bucket, monkeypatch, capsys, tmp_path):
    """The server knows no checksum of it, as of what older clients uploaded."""
    url = bucket.upload(write_photos(tmp_path / "photos", 3), "photos")
    monkeypatch.setenv("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required")
    _new_client()
    bucket.server.fail(bucket.server.cut, "GetObject", key="photo01")
    assert exit_code("build-mixhq", "--source", url, "--out", f"{bucket.url}/mixhq") == 1
    message = capsys.readouterr().err
    assert "photo01.jpg did not come whole, or has changed" in message
    assert "run the same command again" in message
    assert bucket.keys("mixhq") == []


def _new_client():
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize("value", ["banana", "0", "-1", "1.5", "10000000"])
def test_a_wrong_number_of_attempts_is_a_usage_error(value, monkeypatch, capsys):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", value)
    with pytest.raises(UsageError, match="AWS_MAX_ATTEMPTS is"):
        s3.attempts()
    assert exit_code("verify", "s3://bucket/out") == 2
    assert "AWS_MAX_ATTEMPTS" in capsys.readouterr().err
