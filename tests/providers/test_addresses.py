"""The ways to write an address: none of them leads from a public base to this machine or its network."""

from __future__ import annotations

import pytest

from batchrunner.providers.addresses import is_loopback, is_public, redacted
from batchrunner.providers.http import Http, NotSentError, RefusedUrlError

LOOPBACK = [
    *("127.0.0.1", "127.0.0.2", "127.255.255.254", "127.1", "127.0.1", "2130706433", "0x7f000001"),
    *("0x7f.0.0.1", "0x7f.1", "0177.0.0.1", "017700000001", "0", "0.0.0.0", "0x0"),
    *(
        "localhost",
        "LOCALHOST",
        "LocalHost",
        "ⓛocalhost",
        "127。0。0。1",
        "①②⑦.0.0.1",
        "\uff11\uff12\uff17.0.0.1",
    ),
    *("[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]"),
    *(
        "[::7f00:1]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
    ),
    *("[2002:7f00:1::]", "[2001:0:7f00:1::]"),
]
PRIVATE = [
    *(
        "10.0.0.1",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "100.64.0.1",
        "0x0a000001",
    ),
    *("[fc00::1]", "[fd12:3456::1]", "[fe80::1]", "[fec0::1]", "[::ffff:10.0.0.1]", "[64:ff9b::10.0.0.1]"),
    *(
        "[2002:a00:1::]",
        "[::10.0.0.1]",
        "192.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
    ),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "[ff02::1]", "[ff0e::1]", "[100::1]"),
    *("[2001:db8::1]", "[4000::1]", "[3fff::1]", "192.88.99.1", "100.127.255.255", "[::ffff:100.64.0.1]"),
    *(
        "0.255.255.255",
        "169.254.0.1",
        "[::ffff:169.254.0.1]",
        "[64:ff9b::169.254.0.1]",
        "[64:ff9b::224.0.0.1]",
    ),
    *("[::ffff:0.0.0.0]", "[64:ff9b::0.0.0.0]", "[64:ff9b::100.64.0.1]", "192.0.0.192"),
]
METADATA = [
    *("169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518"),
    *("[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]", "[::169.254.169.254]"),
    *("[fd00:ec2::254]", "100.100.100.200", "168.63.129.16", "169.254.170.2", "[fe80::a9fe:a9fe]"),
]
BAD = [
    *("https://user@8.8.8.8/", "https://user:secret@8.8.8.8/", "https://:@8.8.8.8/", "https://@8.8.8.8/"),
    *("https://8.8.8.8\\@127.0.0.1/", "https://8.8.8.8:99999/", "https://8.8.8.8:-1/", "https://8.8.8.8:x/"),
    *("https://[::1/", "https://[8.8.8.8/", "https://[]/", "https:///x", "https:/8.8.8.8/", "https:8.8.8.8/"),
    *("http://8.8.8.8/", "HTTP://8.8.8.8/", "ftp://8.8.8.8/", "file:///etc/passwd", "gopher://8.8.8.8/"),
    *("data:text/plain,x", "javascript:alert(1)", "blob:https://8.8.8.8/", "//8.8.8.8/", "8.8.8.8", "/x", ""),
    *("\thttps://127.0.0.1/", " https://127.0.0.1/", "https://127.0.0.1\t/", "ht\ntps://127.0.0.1/"),
]
NAMES = ["127%2e0%2e0%2e1", "a..b", "a" * 300, "[::1%25lo]"]


@pytest.fixture(scope="module")
def public() -> Http:
    """An Http whose base is a public host."""
    return Http("https://8.8.8.8")


@pytest.mark.parametrize("host", [*LOOPBACK, *PRIVATE, *METADATA])
@pytest.mark.parametrize("port", ["", ":443"])
def test_no_spelling_of_a_private_address_is_visited(public: Http, host: str, port: str) -> None:
    """Decimal, octal, hexadecimal, short, wide, mapped or translated: what counts is where it leads."""
    with pytest.raises(RefusedUrlError):
        public.check(f"https://{host}{port}/latest/meta-data")


@pytest.mark.parametrize(
    "host", ["localhost.", "LOCALHOST.", "127.0.0.1.", "localhost.localdomain", "ip6-localhost"]
)
@pytest.mark.parametrize("base", ["https://8.8.8.8", "http://127.0.0.1:1"])
def test_other_names_of_this_machine_lead_nowhere(base: str, host: str) -> None:
    """They stand for loopback, or for nothing; from a loopback base only the plain names count."""
    with pytest.raises((RefusedUrlError, NotSentError)):
        Http(base).check(f"https://{host}/x")


@pytest.mark.parametrize("url", BAD)
def test_what_is_no_plain_https_address_is_refused(public: Http, url: str) -> None:
    """No user, no password, no odd scheme, no trick before the host."""
    with pytest.raises(RefusedUrlError):
        public.check(url)


@pytest.mark.parametrize("host", NAMES)
def test_a_name_that_cannot_be_one_leads_nowhere(public: Http, host: str) -> None:
    """Nobody answers to it, and another reading of it is never tried."""
    with pytest.raises((RefusedUrlError, NotSentError)), public.stream(f"https://{host}/x", {}):
        pass


@pytest.mark.parametrize("path", ["\ud800", "x\udfff?y"])
def test_half_a_character_is_no_address(public: Http, path: str) -> None:
    """JSON can spell one, and no request can carry it."""
    with pytest.raises(RefusedUrlError), public.stream(f"https://8.8.8.8/{path}", {}):
        pass


def test_no_sentence_repeats_what_may_be_secret(public: Http) -> None:
    """Neither the password nor the signature of a refused address is shown."""
    for url in ("https://u:canary@127.0.0.1/x?s=canary", "http://8.8.8.8/x?X-Goog-Signature=canary"):
        with pytest.raises(RefusedUrlError) as caught:
            public.check(url)

        assert "canary" not in str(caught.value)
    assert "a malformed URL" == redacted("https://[canary")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2:8000", "localhost:1", "[::1]:80"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_loopback_is_visited_from_loopback(scheme: str, host: str) -> None:
    """The emulator and its storage are on this machine, and speak plain http."""
    Http("http://127.0.0.1:1").check(f"{scheme}://{host}/x")


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/",
        "https://10.0.0.1/",
        "http://8.8.8.8/",
        "https://169.254.169.254/",
        "http://2130706433/",
    ],
)
def test_from_loopback_all_else_has_the_same_rules(url: str) -> None:
    """A loopback base opens loopback, by its plain names, and nothing more."""
    with pytest.raises(RefusedUrlError):
        Http("http://127.0.0.1:1").check(url)


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "172.32.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2606:4700:4700::1111",
        "2a00::1",
    ],
)
def test_public_addresses_are_public(address: str) -> None:
    """Also behind a network that has IPv6 only."""
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    ["http://localhost.evil.com/", "http://127.0.0.1.evil.com/", "http://evil.com/127.0.0.1", "", "http://["],
)
def test_a_name_that_only_looks_like_loopback_is_not(url: str) -> None:
    """Only the literal names count."""
    assert not is_loopback(url)
