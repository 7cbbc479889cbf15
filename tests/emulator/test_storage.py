"""The storage origin: uploads with their literal types, ranges, faults of media, and the leak count."""

from __future__ import annotations

import http.client
import time
from pathlib import Path

import pytest

from tests.emulator.client import BASE, Client, emulator, picture, send


def presigned(client: Client, extension: str) -> dict[str, str]:
    """Ask for an upload."""
    urls: dict[str, str] = client.call("POST", f"{BASE}/upload-url", {"file_type": extension}).json
    return urls


@pytest.mark.parametrize(
    ("extension", "content_type"),
    [("jpeg", "image/jpeg"), ("jpg", "image/jpg"), ("png", "image/png"), ("mp4", "video/mp4")],
)
def test_an_upload_is_served_to_anyone(tmp_path: Path, extension: str, content_type: str) -> None:
    """With the signed type it is stored, and public under the other URL."""
    with emulator(tmp_path) as client:
        url = client.upload(b"bytes", extension, content_type)
        reply = send("GET", url)

    assert (200, b"bytes", content_type) == (reply.status, reply.body, reply.headers["Content-Type"])


def test_jpg_must_be_image_jpg(tmp_path: Path) -> None:
    """The registered type image/jpeg does not match the signature of the extension jpg."""
    with emulator(tmp_path) as client:
        urls = presigned(client, "jpg")
        reply = send("PUT", urls["upload_url"], b"bytes", {"Content-Type": "image/jpeg"})
        stored = send("GET", urls["public_url"])

    assert (reply.status, b"SignatureDoesNotMatch" in reply.body) == (403, True)
    assert stored.status == 404


def test_no_content_type_is_a_malformed_header(tmp_path: Path) -> None:
    """The type is a signed header: it must be there."""
    with emulator(tmp_path) as client:
        reply = send("PUT", presigned(client, "png")["upload_url"], b"bytes")

    assert (reply.status, b"MalformedSecurityHeader" in reply.body) == (400, True)


def test_a_presigned_url_lives_899_seconds(tmp_path: Path) -> None:
    """It says so, and is refused after the time of the knob."""
    with emulator(tmp_path) as client:
        told = presigned(client, "png")["upload_url"]
        client.call("PUT", "/_emulator/config", {"upload_ttl_s": 0})
        urls = presigned(client, "png")
        time.sleep(1.05)
        reply = send("PUT", urls["upload_url"], b"bytes", {"Content-Type": "image/png"})

    assert "X-Goog-Expires=899" in told
    assert (reply.status, b"ExpiredToken" in reply.body) == (400, True)


def test_a_changed_signature_or_path_is_refused(tmp_path: Path) -> None:
    """Nobody stores under a name that was not signed."""
    with emulator(tmp_path) as client:
        url = presigned(client, "png")["upload_url"]
        header = {"Content-Type": "image/png"}
        statuses = [
            send("PUT", changed, b"x", header).status
            for changed in (url[:-1] + "g", url.replace(".png", ".gif"))
        ]

    assert statuses == [403, 403]


def test_too_large_an_upload_is_refused(tmp_path: Path) -> None:
    """There is a cap, though the real one is unknown."""
    with emulator(tmp_path, upload_bytes_max=10) as client:
        url = presigned(client, "png")["upload_url"]
        reply = send("PUT", url, b"x" * 11, {"Content-Type": "image/png"})

    assert reply.status == 400


def test_a_large_upload_arrives_whole(tmp_path: Path) -> None:
    """Several megabytes are nothing special."""
    data = bytes(range(256)) * 12_000
    with emulator(tmp_path) as client:
        stored = send("GET", client.upload(data)).body

    assert stored == data


@pytest.mark.parametrize("body", [{"file_type": "webp"}, {"file_type": None}, {}, []])
def test_other_types_cannot_be_uploaded(tmp_path: Path, body: object) -> None:
    """There is no webp."""
    with emulator(tmp_path) as client:
        reply = client.call("POST", f"{BASE}/upload-url", body)

    assert reply.status == 400


def test_upload_faults(tmp_path: Path) -> None:
    """The call for an upload URL has a script of its own."""
    with emulator(tmp_path, upload_script=("500",)) as client:
        statuses = [client.call("POST", f"{BASE}/upload-url", {"file_type": "png"}).status for _ in range(2)]

    assert statuses == [500, 200]


def test_the_key_is_never_wanted_here_and_is_counted(tmp_path: Path) -> None:
    """A request that brings an Authorization header works, and is a leak."""
    with emulator(tmp_path) as client:
        url = client.media_url()
        plain, leaking = send("GET", url), send("GET", url, headers={"Authorization": "Bearer x"})
        leaks = client.ledger()["auth_leaks"]

    assert (plain.status, leaking.status, leaks) == (200, 200, 1)


def test_a_clip_comes_whole(tmp_path: Path) -> None:
    """A plain 200 with type, length and a strong ETag."""
    with emulator(tmp_path) as client:
        url = client.media_url()
        reply, head = send("GET", url), send("HEAD", url)

    assert (reply.status, reply.headers["Content-Type"]) == (200, "video/mp4")
    assert str(len(reply.body)) == reply.headers["Content-Length"] == head.headers["Content-Length"]
    assert reply.headers["ETag"].startswith('"')
    assert reply.body[4:8] == b"ftyp"
    assert head.body == b""


def test_a_range_goes_on_where_it_was_cut(tmp_path: Path) -> None:
    """First part, open end and suffix each give exactly their bytes."""
    with emulator(tmp_path) as client:
        url = client.media_url()
        whole = send("GET", url).body
        parts = {
            text: send("GET", url, headers={"Range": f"bytes={text}"}) for text in ("0-99", "100-", "-7")
        }

    size = len(whole)
    assert [part.status for part in parts.values()] == [206, 206, 206]
    assert whole == parts["0-99"].body + parts["100-"].body
    assert whole[-7:] == parts["-7"].body
    assert f"bytes 0-99/{size}" == parts["0-99"].headers["Content-Range"]
    assert f"bytes 100-{size - 1}/{size}" == parts["100-"].headers["Content-Range"]


def test_if_range_decides(tmp_path: Path) -> None:
    """The part only where it is still the same file, else the whole."""
    with emulator(tmp_path) as client:
        url = client.media_url()
        tag = send("GET", url).headers["ETag"]
        same = send("GET", url, headers={"Range": "bytes=5-", "If-Range": tag})
        other = send("GET", url, headers={"Range": "bytes=5-", "If-Range": '"other"'})

    assert (same.status, other.status) == (206, 200)


@pytest.mark.parametrize("text", ["999999999-", "-0"])
def test_a_range_beyond_the_end_is_a_416(tmp_path: Path, text: str) -> None:
    """It tells the true length."""
    with emulator(tmp_path) as client:
        url = client.media_url()
        size = len(send("GET", url).body)
        reply = send("GET", url, headers={"Range": f"bytes={text}"})

    assert (416, f"bytes */{size}") == (reply.status, reply.headers["Content-Range"])


@pytest.mark.parametrize("text", ["bytes=9-3", "bytes=-", "lines=0-3", "bytes=0-1,4-5"])
def test_a_range_that_means_nothing_is_ignored(tmp_path: Path, text: str) -> None:
    """The whole file comes."""
    with emulator(tmp_path) as client:
        reply = send("GET", client.media_url(), headers={"Range": text})

    assert reply.status == 200


def test_media_faults_strike_each_clip_anew(tmp_path: Path) -> None:
    """Two clips see the same script from its start."""
    script = ("404", "403", "503_html", "html", "empty", "ok")
    with emulator(tmp_path, media_script=script) as client:
        urls = [client.media_url(seed=n) for n in range(2)]
        replies = [[send("GET", url) for _ in script] for url in urls]

    assert [[one.status for one in row] for row in replies] == [[404, 403, 503, 200, 200, 200]] * 2
    assert b"<html>" in replies[0][3].body
    assert replies[0][4].body == b""
    assert b"ftyp" in replies[0][5].body


def test_a_cut_download_can_be_resumed(tmp_path: Path) -> None:
    """The announced length does not arrive; the rest is to be had by range."""
    with emulator(tmp_path, media_script=("cut:100",)) as client:
        url = client.media_url()
        with pytest.raises(http.client.IncompleteRead) as cut:
            send("GET", url)
        rest = send("GET", url, headers={"Range": "bytes=100-"})
        whole = send("GET", url).body

    assert len(cut.value.partial) == 100
    assert whole == cut.value.partial + rest.body


def test_an_unfinished_clip_is_not_there(tmp_path: Path) -> None:
    """Its URL can be guessed, and is a 404 until success."""
    with emulator(tmp_path, duration_s=(60.0, 60.0)) as client:
        request_id = client.accepted()
        config = client.call("GET", "/_emulator/config").json
        path = f"/gmi-video-assests-prod/user-assets/{config['org_id']}/{request_id}/sample_0.mp4"
        reply = send("GET", f"{client.storage}{path}")

    assert (reply.status, b"NoSuchKey" in reply.body) == (404, True)


@pytest.mark.parametrize(
    "path", ["/", "/../ledger.jsonl", "/gmi-video-assests-prod/user-assets/../../ledger.jsonl"]
)
def test_nothing_else_is_served(tmp_path: Path, path: str) -> None:
    """No path leads out of the bucket."""
    with emulator(tmp_path) as client:
        client.post()
        reply = send("GET", f"{client.storage}{path}")

    assert reply.status == 404


def test_an_uploaded_picture_can_be_submitted(tmp_path: Path) -> None:
    """Its bytes decide the clip, not its address: two uploads of one picture give one clip."""
    with emulator(tmp_path, canned=False) as client:
        urls = [client.upload(picture()) for _ in range(2)]
        tags = {send("HEAD", client.media_url(image_url=url, duration="5")).headers["ETag"] for url in urls}

    assert urls[0] != urls[1]
    assert len(tags) == 1
