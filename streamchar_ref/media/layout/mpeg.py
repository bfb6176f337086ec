"""Packets of MPEG transport and program streams, frames of MPEG audio (ISO/IEC 13818, 11172)."""

from typing import BinaryIO

from streamchar_ref.media.layout.reading import is_cut_header, read_at, unsigned

_SYNC = 0x47
_PACKETS = {188: 0, 192: 4, 204: 0}
"""Size of a transport packet (plain, on disc, with error correction) -> offset of its sync byte."""
_TAIL = 1 << 21
_PACK, _END, _FIRST_WITH_LENGTH = 0xBA, 0xB9, 0xBB
_ID3_AT_END = 128
_KILOBITS = (
    (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
_RATES = (44_100, 48_000, 32_000)


def is_transport_stream(head: bytes) -> bool:
    """Whether a file that begins so consists of transport packets."""
    return bool(_packet_size(head))


def _packet_size(head: bytes) -> int:
    for size, place in _PACKETS.items():
        syncs = head[place : place + 4 * size : size]
        if len(syncs) > 1 and set(syncs) == {_SYNC}:
            return size
    return 0


def missing_of_transport_stream(file: BinaryIO, size: int) -> str:
    """As `layout.missing_part`: a transport packet, or a packet of known length within several."""
    step = _packet_size(read_at(file, 0, 1024))
    if size % step:
        rest = read_at(file, size - size % step, step)[_PACKETS[step] :]
        return "packet" if rest[:1] in {b"", bytes([_SYNC])} else ""
    length = min(size, _TAIL // step * step)
    content = read_at(file, size - length, length)
    missing: dict[int, int] = {}
    for start in range(_PACKETS[step], length, step):
        _count_payload(content[start : start + 188], missing)
    return "packet" if any(count > 0 for count in missing.values()) else ""


def _count_payload(packet: bytes, missing: dict[int, int]) -> None:
    """Updates how many bytes of each PID's current packet are still missing."""
    if packet[0] != _SYNC or not packet[3] & 0x10:
        return
    pid = unsigned(packet[1:3]) & 0x1FFF
    payload = packet[5 + packet[4] :] if packet[3] & 0x20 else packet[4:]
    if packet[1] & 0x40:  # start of a packet
        is_packet = payload[:3] == b"\x00\x00\x01" and len(payload) >= 6
        length = unsigned(payload[4:6]) if is_packet else 0
        missing[pid] = length and length + 6 - len(payload)
    elif pid in missing:
        missing[pid] -= len(payload) if missing[pid] > 0 else 0


def missing_of_program_stream(file: BinaryIO, size: int) -> str:
    """As `layout.missing_part`: a packet that ends beyond the file."""
    position = 0
    while position < size:
        head = read_at(file, position, 14)
        if head[:3] != b"\x00\x00\x01"[: len(head)]:
            return ""
        if len(head) < 6:
            return "" if head[3:4] == bytes([_END]) or not is_cut_header(head, 6) else "packet"
        position += _length_of_packet(head)
        if head[3] < _END:
            return ""
    return "packet" if position > size else ""


def _length_of_packet(head: bytes) -> int:
    if head[3] == _END:
        return 4
    if head[3] >= _FIRST_WITH_LENGTH:
        return 6 + unsigned(head[4:6])
    is_mpeg_2 = head[4] >> 6 == 1
    return 14 + (head[13] & 7 if len(head) == 14 else 0) if is_mpeg_2 else 12


def missing_of_audio(file: BinaryIO, size: int) -> str:
    """As `layout.missing_part`: a frame of an mp3, or bytes that its first frame announces."""
    start = 0
    if read_at(file, 0, 3) == b"ID3":
        tag = read_at(file, 6, 4)
        start = 10 + sum(byte << 7 * (3 - place) for place, byte in enumerate(tag))
    if start + _promised_bytes(read_at(file, start, 64)) > size + _ID3_AT_END:
        return "frame"
    position = start
    while length := _length_of_frame(read_at(file, position, 4)):
        position += length
    return "frame" if position > size else ""


def _promised_bytes(frame: bytes) -> int:
    """Total size by the first frame (MP3 Info Tag of LAME); 0 if not given."""
    place = max(frame.find(b"Xing"), frame.find(b"Info"))
    flags = unsigned(frame[place + 4 : place + 8]) if place >= 0 else 0
    count = place + 8 + 4 * (flags & 1)
    return unsigned(frame[count : count + 4]) if flags & 2 else 0


def _length_of_frame(head: bytes) -> int:
    """Size of a layer III frame in bytes; 0 if this is not its header."""
    word = unsigned(head)
    bits_index, rate_index = word >> 12 & 15, word >> 10 & 3
    is_layer_3 = len(head) == 4 and word >> 21 == 0x7FF and word >> 17 & 3 == 1
    if not is_layer_3 or bits_index in {0, 15} or rate_index == 3:
        return 0
    version = word >> 19 & 3
    is_mpeg_1 = version == 3
    kilobits = _KILOBITS[not is_mpeg_1][bits_index - 1]
    rate = _RATES[rate_index] // {3: 1, 2: 2, 0: 4}.get(version, 1)
    return (144 if is_mpeg_1 else 72) * kilobits * 1000 // rate + (word >> 9 & 1)
