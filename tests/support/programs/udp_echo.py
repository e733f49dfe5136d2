"""Gives datagrams back: udp_echo.py PORT..., on 127.0.0.1. Says "ready" when all are open."""
import select
import socket
import sys

socks = []
for port in map(int, sys.argv[1:]):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", port))
    socks.append(sock)
print("ready", flush=True)
while True:
    for sock in select.select(socks, [], [])[0]:
        data, peer = sock.recvfrom(65535)
        sock.sendto(data, peer)
