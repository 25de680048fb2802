"""The errors of this package.

* StreamError
    - OpenError           the address is wrong, refused, or not video
    - VideoError          frames came, but the video breaks off or too much of it does not decode
    - FeedError           the event feed cannot start, or cannot do what was asked
        - JournalError    the journal file cannot be opened, read or written
"""


class StreamError(Exception):
    """Reading a source or moving a message failed; the text says where, what failed, the number, and what to try."""


class OpenError(StreamError):
    """The address is wrong, refused, or not video.

    Attributes:
        permanent: whether a retry without a change by a person cannot help.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class VideoError(StreamError):
    """Frames came, but the video breaks off or too much of it does not decode."""


class FeedError(StreamError):
    """The event feed cannot start, or cannot do what was asked."""


class JournalError(FeedError):
    """The journal file cannot be opened, read or written."""
