/**
 * The server that the measurements are about, as plain as the runtime allows. Prints its ports as one line of JSON:
 * `source` sends without end, `sink` reads to the end and answers with the count, `echo` sends back what comes, and
 * `udp` sends datagrams back, but only counts those that begin with 1 and answers 2 with the count.
 */
import { COUNT_QUERY, COUNTED } from "./datagram.ts";

const hostname = "127.0.0.1";
const chunk = new Uint8Array(256 * 1024);

function serve(each: (connection: Deno.TcpConn) => Promise<void>): number {
  const listener = Deno.listen({ hostname, port: 0, tcpBacklog: 4096 });
  (async () => {
    for await (const connection of listener) {
      connection.setNoDelay(true);
      each(connection).catch(() => {}).finally(() => {
        try {
          connection.close();
        } catch {
          // Closed already.
        }
      });
    }
  })();
  return listener.addr.port;
}

const source = serve(async (connection) => {
  for (;;) await connection.write(chunk);
});

const sink = serve(async (connection) => {
  const buffer = new Uint8Array(chunk.length);
  let count = 0;
  for (let n = await connection.read(buffer); n !== null; n = await connection.read(buffer)) count += n;
  await connection.write(new TextEncoder().encode(String(count)));
});

const echo = serve(async (connection) => {
  const buffer = new Uint8Array(4096);
  for (let n = await connection.read(buffer); n !== null; n = await connection.read(buffer)) {
    await connection.write(buffer.subarray(0, n));
  }
});

const datagrams = Deno.listenDatagram({ transport: "udp", hostname, port: 0 });
const counts = new Map<number, number>();
(async () => {
  for (;;) {
    const [datagram, from] = await datagrams.receive();
    const run = datagram[1]!;
    if (datagram[0] === COUNTED) counts.set(run, (counts.get(run) ?? 0) + 1);
    else if (datagram[0] === COUNT_QUERY) {
      await datagrams.send(new TextEncoder().encode(String(counts.get(run) ?? 0)), from);
    } else await datagrams.send(datagram, from).catch(() => {});
  }
})();

console.log(JSON.stringify({ source, sink, echo, udp: (datagrams.addr as Deno.NetAddr).port }));
