/**
 * Echoes over TCP and UDP, and an HTTP server that says hello, for machines that are network namespaces. Prints their
 * ports. Ends with its standard input.
 */
import http from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { TcpServer } from "../tcp.ts";
import { UdpPeer } from "../udp.ts";

const tcp = await TcpServer.start((socket) => void socket.pipe(socket));
const udp = await UdpPeer.start((datagram) => datagram);
const server = http.createServer((_req, res) => res.end("hello"));
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
console.log(JSON.stringify({ tcp: tcp.port, udp: udp.port, http: (server.address() as AddressInfo).port }));
for await (const _ of process.stdin);
process.exit(0);
