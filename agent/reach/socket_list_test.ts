import assert from "node:assert/strict";
import { isReachedBy, type ListeningSocket, parseNetstat, parseSs } from "./socket_list.ts";

const SS = `
udp   UNCONN 0      0               127.0.0.53%lo:53         0.0.0.0:*
udp   UNCONN 0      0         192.168.1.5%enp3s0:68         0.0.0.0:*
udp   UNCONN 0      0                     0.0.0.0:5353       0.0.0.0:*     users:(("avahi",pid=700,fd=12))
udp   UNCONN 0      0                           *:443              *:*     users:(("caddy",pid=801,fd=9),("caddy",pid=802,fd=9))
udp   ESTAB  0      0                127.0.0.1:40000     127.0.0.1:53
tcp   LISTEN 0      4096              0.0.0.0:22           0.0.0.0:*
tcp   LISTEN 0      511             127.0.0.1:3000         0.0.0.0:*     users:(("node",pid=4242,fd=18))
tcp   LISTEN 0      511                 [::1]:5173            [::]:*
tcp   LISTEN 0      4096                 [::]:8080            [::]:*
tcp   LISTEN 0      4096                    *:9000               *:*
tcp   LISTEN 0      128  [fe80::1]%enp3s0:546            [::]:*
tcp   LISTEN 0      128  [::ffff:127.0.0.1]:7000               *:*
tcp   ESTAB  0      0               127.0.0.1:3000     127.0.0.1:50000
`;

const NETSTAT = `
Active Internet connections (including servers)
Proto Recv-Q Send-Q  Local Address          Foreign Address        (state)
tcp4       0      0  127.0.0.1.631          *.*                    LISTEN
tcp6       0      0  ::1.631                *.*                    LISTEN
tcp46      0      0  *.3000                 *.*                    LISTEN
tcp6       0      0  *.5000                 *.*                    LISTEN
tcp4       0      0  *.22                   *.*                    LISTEN
tcp4       0      0  192.168.1.5.50000      17.57.146.4.443        ESTABLISHED
tcp6       0      0  fe80::1%lo0.8021       *.*                    LISTEN
udp4       0      0  *.5353                 *.*
udp6       0      0  *.5353                 *.*
udp46      0      0  *.443                  *.*
udp4       0      0  *.*                    *.*
udp4       0      0  192.168.1.5.60000      8.8.8.8.53
Active LOCAL (UNIX) domain sockets
`;

/** The ports that a connection to `address` finds. */
function ports(sockets: readonly ListeningSocket[], protocol: string, address: string): number[] {
  return sockets.filter((socket) => socket.protocol === protocol && isReachedBy(address, socket))
    .map(({ port }) => port);
}

Deno.test("ss: what is bound where", () => {
  const sockets = parseSs(SS);
  assert.deepEqual(ports(sockets, "tcp", "127.0.0.1"), [22, 3000, 9000, 7000]);
  assert.deepEqual(ports(sockets, "tcp", "::1"), [5173, 8080, 9000]);
  assert.deepEqual(ports(sockets, "udp", "127.0.0.1"), [5353, 443]);
  assert.deepEqual(ports(sockets, "udp", "127.0.0.53"), [53, 5353, 443]);
  assert.deepEqual(sockets.find(({ port }) => port === 443)?.pids, [801, 802]);
  assert.deepEqual(sockets.find(({ port }) => port === 22)?.pids, []);
});

Deno.test("netstat of macOS: what is bound where", () => {
  const sockets = parseNetstat(NETSTAT);
  assert.deepEqual(ports(sockets, "tcp", "127.0.0.1"), [631, 3000, 22]);
  assert.deepEqual(ports(sockets, "tcp", "::1"), [631, 3000, 5000]);
  assert.deepEqual(ports(sockets, "udp", "127.0.0.1"), [5353, 443]);
});

Deno.test("lines that make no sense are passed over", () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  let state = seed;
  const random = (below: number) => (state = (state * 1664525 + 1013904223) >>> 0) % below;
  const odd = [
    "",
    "\0\0\0",
    "tcp",
    "tcp LISTEN",
    "tcp LISTEN 0 0 :",
    "tcp LISTEN 0 0 *:*",
    "tcp LISTEN 0 0 *:0",
    "tcp LISTEN 0 0 *:65536",
    "tcp LISTEN 0 0 *:-1",
    "tcp LISTEN 0 0 *:1e3",
    "tcp LISTEN 0 0 ]:80[",
    "tcp LISTEN 0 0 host:80",
    "sctp LISTEN 0 0 *:80",
    "x".repeat(100_000),
  ];
  for (const parse of [parseSs, parseNetstat]) {
    assert.deepEqual(parse(odd.join("\n")), []);
    for (let round = 0; round < 500; round++) {
      const source = [...(parse === parseSs ? SS : NETSTAT)];
      for (let i = 0; i < 20; i++) source[random(source.length)] = String.fromCharCode(random(256));
      for (const { port, families, protocol } of parse(source.join(""))) {
        assert(port >= 1 && port <= 65_535 && families.length > 0 && ["tcp", "udp"].includes(protocol), `seed ${seed}`);
      }
    }
  }
});
