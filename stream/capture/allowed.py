"""Allow lists: the protocols that each kind of address may use, and the formats that are read.

Everything that FFmpeg opens gets these lists. A format that makes FFmpeg open further files or hosts by itself
(playlists, concat scripts, session descriptions) is on none of them, whatever name or type it claims.
"""

from stream.capture.addresses import is_url, redact
from stream.errors import OpenError

PROTOCOLS = {
    "rtsp": "rtsp,tcp,udp,rtp",
    "rtsps": "rtsps,rtsp,tls,tcp,udp,rtp,srtp",
    "http": "http,tcp",
    "https": "https,tls,tcp,httpproxy",
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmps,tls,tcp",
    "rtp": "rtp,udp",
    "udp": "udp",
    "srt": "srt,udp",
    "tcp": "tcp",
}
"""By scheme of the address: the protocols that FFmpeg may use, the scheme itself included."""

FORMATS = (
    "mov,mp4,matroska,webm,avi,mpegts,mpegtsraw,mpeg,flv,live_flv,asf,mxf,mxf_opatom,ogg,nut,dv,wtv,rm,dhav,gxf,nsv,"
    "h264,hevc,vvc,av1,obu,ivf,m4v,mpegvideo,h263,vc1,vc1test,dirac,cavsvideo,mjpeg,mjpeg_2000,smjpeg,mpjpeg,"
    "yuv4mpegpipe,gif,apng,rtsp,rtp,"
    # Single images and sound: opened so that the refusal can name them.
    "jpeg_pipe,png_pipe,webp_pipe,bmp_pipe,tiff_pipe,gif_pipe,jpegxl_pipe,mp3,wav,aac,ac3,flac"
)
"""Formats that contain their video themselves."""

_IMAGES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"RIFF": "WebP",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}
_SCRIPTS = {
    b"#EXTM3U": "a playlist",
    b"ffconcat": "a list of files for FFmpeg",
    b"file ": "a list of files for FFmpeg",
    b"v=0": "a session description (SDP)",
    b"<?xml": "a text of XML, perhaps a playlist",
    b"<MPD": "a playlist (DASH)",
    b"[playlist]": "a playlist",
}


def open_options(address: str) -> dict[str, str]:
    """Return the FFmpeg options that limit it to what `address`, a path or URL, may open.

    Raises:
        OpenError: addresses of this kind are not allowed.
    """
    if not is_url(address):
        return {"protocol_whitelist": "file", "format_whitelist": FORMATS}
    scheme = address.partition("://")[0].lower()
    if scheme not in PROTOCOLS:
        known = ", ".join(PROTOCOLS)
        raise OpenError(
            f"{redact(address)}: this kind of address is not supported; use {known} or a file", permanent=True
        )
    options = {"protocol_whitelist": PROTOCOLS[scheme], "format_whitelist": FORMATS}
    if scheme in ("http", "https"):
        options["max_redirects"] = "0"  # the program itself checks and follows redirects
    return options


def kind_of_refused(head: bytes) -> str | None:
    """Return in words what a file that begins with `head` is, if it is a kind that is not read as video, or None."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    for begin, what in _SCRIPTS.items():
        if start.startswith(begin):
            return f"{what}, which may open other files and hosts, not a video"
    if any(head.startswith(begin) for begin in _IMAGES):
        return "a still image, not a video"
    return None
