"""How much of what a camera sends over UDP may wait for this program, and what the system grants of that."""

import socket

# A key frame comes all at once, and the system's usual 0.2 MB overflow while the program is busy.
RECEIVE_BYTES = 4 << 20


def granted_receive_bytes() -> int:
    """Bytes that a UDP socket gets here of RECEIVE_BYTES; Linux grants up to net.core.rmem_max.

    Raises:
        OSError: there is no such socket here.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        # Linux tells twice what it grants: the rest is for its own needs. (socket(7))
        return min(RECEIVE_BYTES, one.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2)
