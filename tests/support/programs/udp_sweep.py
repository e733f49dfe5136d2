"""Sends one datagram to each UDP port: udp_sweep.py HOST SECONDS PORT... Says which answer, which are refused, which keep
silent. Deno has no connected UDP sockets, by which a program is told of a closed port."""
import json
import select
import socket
import sys
import time

host, seconds, *ports = sys.argv[1:]
family = socket.AF_INET6 if ":" in host else socket.AF_INET
waiting = {}
found = {"answered": [], "refused": [], "silent": []}
for port in map(int, ports):
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.connect((host, port))
    sock.send(b"hello")
    waiting[sock] = port
until = time.monotonic() + float(seconds)
while waiting and time.monotonic() < until:
    readable, _, _ = select.select(list(waiting), [], [], until - time.monotonic())
    for sock in readable:
        port = waiting.pop(sock)
        try:
            sock.recv(65535)
            found["answered"].append(port)
        except ConnectionRefusedError:
            found["refused"].append(port)
found["silent"] = list(waiting.values())
print(json.dumps({name: sorted(list_) for name, list_ in found.items()}))
