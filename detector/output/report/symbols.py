"""Icons of the pages, as paths of 12 by 12 units."""

ICONS = {
    "confirmed": "M6 0 12 6 6 12 0 6Z",
    "detected": "M6 1a5 5 0 1 0 0 10A5 5 0 0 0 6 1Zm0 1.6a3.4 3.4 0 1 1 0 6.8 3.4 3.4 0 0 1 0-6.8Z",
    "unverified": "M6 0 12 6 6 12 0 6Zm0 2.3L2.3 6 6 9.7Z",
    "rejected": "M1.6.5 6 4.9 10.4.5l1.1 1.1L7.1 6l4.4 4.4-1.1 1.1L6 7.1l-4.4 4.4-1.1-1.1L4.9 6 .5 1.6Z",
    "play": "M2 1v10l9-5Z",
    "pause": "M2 1h3v10H2zM7 1h3v10H7z",
    "prev": "M8.5 1 3.5 6l5 5",
    "next": "M3.5 1l5 5-5 5",
    "fwd": "M3 1l5 5-5 5M10 1v10",
    "back": "M9 1 4 6l5 5M2 1v10",
    "close": "M2 2l8 8M10 2l-8 8",
    "sun": "M6 3.4a2.6 2.6 0 1 0 0 5.2 2.6 2.6 0 0 0 0-5.2Z"
    "M6 .4v1M6 10.6v1M.4 6h1M10.6 6h1M2 2l.8.8M9.2 9.2l.8.8M10 2l-.8.8M2.8 9.2l-.8.8",
    "moon": "M10.5 7.6A5 5 0 0 1 4.4 1.5a5 5 0 1 0 6.1 6.1Z",
    "plus": "M6 2v8M2 6h8",
    "minus": "M2 6h8",
    "down": "M2 4l4 4 4-4",
    "link": "M5 7l2-2M4 5 2.5 6.5a2 2 0 0 0 3 3L7 8M8 7l1.5-1.5a2 2 0 0 0-3-3L5 4",
    "clock": "M6 1a5 5 0 1 0 0 10A5 5 0 0 0 6 1Zm0 2.2V6l1.8 1.2",
}  # fmt: skip
"""Paths of 12 by 12 units, for the page's symbols."""
LINED = ("prev", "next", "close", "sun", "moon", "plus", "minus", "down", "fwd", "back", "link", "clock")
"""Icons that are drawn as lines."""
