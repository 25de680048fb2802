"""RTSP and HTTP authentication that FFmpeg does not support: digests with SHA-256, and several challenges at once."""

import base64
import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

_HASHES = {"": "md5", "md5": "md5", "sha-256": "sha256", "sha-512-256": "sha512_256"}
_PARAMETER = re.compile(r'([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))')


@dataclass(frozen=True, slots=True)
class Challenge:
    """A server's challenge in one WWW-Authenticate header.

    Attributes:
        scheme: digest or basic, in lower case.
        algorithm: algorithm of a digest as written, e.g. SHA-256; empty means MD5.
        realm: the realm that the password belongs to.
        nonce: the server's nonce.
        opaque: returned unchanged in the answer, or None.
        qop: whether the quality of protection `auth` is offered.
    """

    scheme: str
    algorithm: str = ""
    realm: str = ""
    nonce: str = ""
    opaque: str | None = None
    qop: bool = False

    @property
    def name(self) -> str:
        """The scheme's name, for messages to people."""
        return self.scheme.capitalize() if self.scheme != "digest" else f"{self.algorithm or 'MD5'} digest"

    @property
    def is_supported(self) -> bool:
        """Whether this module can answer it."""
        return self.scheme == "basic" or (self.scheme == "digest" and self._hash_name() in _HASHES)

    def _hash_name(self) -> str:
        return self.algorithm.lower().removesuffix("-sess")

    def answer(self, user: str, password: str, method: str, uri: str, count: int, client: str | None = None) -> str:
        """Return the Authorization header's value.

        Args:
            user: user name.
            password: password.
            method: method of the request, e.g. DESCRIBE.
            uri: URI of the request, as written in its first line.
            count: number of requests answered with this nonce, this one included.
            client: the client's own nonce; random if omitted.
        """
        if self.scheme == "basic":
            return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        client = client or secrets.token_hex(8)
        secret = self._hash(f"{user}:{self.realm}:{password}")
        if self.algorithm.lower().endswith("-sess"):
            secret = self._hash(f"{secret}:{self.nonce}:{client}")
        request = self._hash(f"{method}:{uri}")
        parts = [f'username="{user}"', f'realm="{self.realm}"', f'nonce="{self.nonce}"', f'uri="{uri}"']
        if self.algorithm:
            parts.append(f"algorithm={self.algorithm}")
        if self.qop:
            times = f"{count:08x}"
            response = self._hash(f"{secret}:{self.nonce}:{times}:{client}:auth:{request}")
            parts += ["qop=auth", f"nc={times}", f'cnonce="{client}"']
        else:
            response = self._hash(f"{secret}:{self.nonce}:{request}")
        parts.append(f'response="{response}"')
        if self.opaque is not None:
            parts.append(f'opaque="{self.opaque}"')
        return "Digest " + ", ".join(parts)

    def _hash(self, text: str) -> str:
        return hashlib.new(_HASHES[self._hash_name()], text.encode(), usedforsecurity=False).hexdigest()


def read_challenges(headers: Sequence[str]) -> list[Challenge]:
    """Return the challenges in the values of the WWW-Authenticate headers, the strongest first."""
    found = []
    for value in headers:
        scheme, _, rest = value.strip().partition(" ")
        fields = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(rest)}
        qop = [word.strip() for word in fields.get("qop", "").lower().split(",")]
        found.append(
            Challenge(
                scheme=scheme.lower(),
                algorithm=fields.get("algorithm", ""),
                realm=fields.get("realm", ""),
                nonce=fields.get("nonce", ""),
                opaque=fields.get("opaque"),
                qop="auth" in qop,
            )
        )
    strength = ("basic", "md5", "", "sha-256", "sha-512-256")

    def rank(one: Challenge) -> int:
        word = one.scheme if one.scheme != "digest" else one.algorithm.lower().removesuffix("-sess")
        return -strength.index(word) if word in strength else 1

    return sorted(found, key=rank)
