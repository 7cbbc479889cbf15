"""The report page: one HTML file beside the clips that opens from disk, and needs no server and no network.

`gather` reads the state table in one look, `shape` makes plain data of it (`secrets` leaves out what must not
be shown, `ways` names the commands), `posters` takes a still from each clip, `page` puts data, style and
script into one document, `write` files it. Style and script, in plain CSS and JavaScript, lie in `assets/`.
"""
