"""Addresses that are pages about a picture, and not the picture: what services hand out under "Share".

Whoever fetches one gets HTML. Only what a service itself (or everybody who automates it) says is held to be a
page; any other path of these hosts may well be a file.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

# https://help.dropbox.com/share/force-download: a shared link shows a preview page; with `raw=1` or `dl=1` in
# place of `dl=0` it redirects to the file itself.
_DROPBOX = re.compile(r"/(s|scl/fi)/")
_DIRECT = {("raw", "1"), ("dl", "1")}
# The Drive API, version 3, has this form in File.webViewLink, "for opening the file in a relevant Google
# editor or viewer in a browser" (examples: https://googledrive.tidyverse.org/reference/drive_link.html).
_DRIVE = re.compile(r"/file/(u/\d+/)?d/")
# Nothing of these is the file: sharingLink.webUrl of Microsoft Graph "opens the item in the browser on the
# OneDrive website" (see also issue 5386 of github.com/ShareX/ShareX), and a WeTransfer link "is not directly
# the download link" (issue 2 of github.com/fliot/py3wetransfer).
_NO_FILE = {
    "drive.google.com": (_DRIVE, "Google Drive"),
    "1drv.ms": (re.compile("/"), "OneDrive"),
    "onedrive.live.com": (re.compile(r"/(redir|$)"), "OneDrive"),
    "we.tl": (re.compile("/"), "WeTransfer"),
    "wetransfer.com": (re.compile("/downloads/"), "WeTransfer"),
}
HOSTS = frozenset({"dropbox.com", *_NO_FILE})


def bare(host: str) -> str:
    """Return a host as this module knows it."""
    return host.removeprefix("www.")


def page(url: str, word: str) -> str | None:
    """Return why an address is not that of a picture (or `word`), and what to do; None: it may be."""
    parts = urlsplit(url)
    host = bare((parts.hostname or "").casefold())
    if host == "dropbox.com":
        query = parse_qsl(parts.query, keep_blank_values=True)
        if not _DROPBOX.match(parts.path) or not _DIRECT.isdisjoint(query):
            return None
        kept = [one for one in query if one[0] not in {"dl", "raw"}]
        direct = urlunsplit(parts._replace(query=urlencode([*kept, ("raw", "1")])))
        return f"is a page of Dropbox, not a {word}: write {direct}"
    form, service = _NO_FILE.get(host, (None, ""))
    if form is None or not form.match(parts.path or "/"):
        return None
    return f"is a page of {service}, not a {word}: download it, and give it under `file:`"
