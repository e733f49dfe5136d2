/**
 * The client of the measurements that iperf3 and ping do not make: one measurement a process. Usage: client.ts WHAT HOST
 * PORT SECONDS [COUNT]. Prints its result as one line of JSON.
 */
import { ECHOED } from "../connect/datagram.ts";

const [what = "", hostname = "", portText, secondsText, countText] = Deno.args;
const port = Number(portText);
const ms = Number(secondsText) * 1000;
const count = Number(countText ?? 1);
/** What comes before is not counted. */
const WARM_UP_MS = 500;

const measures: Record<string, () => Promise<unknown>> = { roundTrips, datagrams, connections };
const measure = measures[what];
if (measure === undefined) throw new Error(`there is no measurement "${what}"`);
console.log(JSON.stringify(await measure()));
Deno.exit();

async function connect(): Promise<Deno.TcpConn> {
  const connection = await Deno.connect({ hostname, port });
  connection.setNoDelay(true);
  return connection;
}

/** Milliseconds of 64 bytes there and back, by TCP. */
async function roundTrips() {
  const connection = await connect();
  const message = new Uint8Array(64);
  return await timesOf(() => exchange(connection, message));
}

/** The same by UDP. */
async function datagrams() {
  const any = hostname.includes(":") ? "::" : "0.0.0.0";
  const socket = Deno.listenDatagram({ transport: "udp", hostname: any, port: 0 });
  const to = { transport: "udp", hostname, port } as const;
  const datagram = new Uint8Array(64);
  datagram[0] = ECHOED;
  return await timesOf(async () => {
    await socket.send(datagram, to);
    await socket.receive();
  });
}

/** Connections a second: connect, send a byte, get it back, close; COUNT at a time. */
async function connections() {
  const message = new Uint8Array(1);
  let done = 0;
  let failed = 0;
  const begin = performance.now() + WARM_UP_MS;
  await Promise.all(Array.from({ length: count }, async () => {
    while (performance.now() - begin < ms) {
      try {
        const connection = await connect();
        await exchange(connection, message);
        connection.close();
        if (performance.now() >= begin) done++;
      } catch {
        failed++;
      }
    }
  }));
  return { rate: done / ((performance.now() - begin) / 1000), failed };
}

async function exchange(connection: Deno.TcpConn, message: Uint8Array): Promise<void> {
  const answer = new Uint8Array(message.length);
  await connection.write(message);
  for (let got = 0; got < message.length;) {
    const n = await connection.read(answer);
    if (n === null) throw new Error("the connection ended before the answer");
    got += n;
  }
}

async function timesOf(once: () => Promise<void>): Promise<{ p50: number; p99: number }> {
  const times: number[] = [];
  const begin = performance.now() + WARM_UP_MS;
  for (let from = performance.now(); from - begin < ms;) {
    await once();
    const now = performance.now();
    if (from >= begin) times.push(now - from);
    from = now;
  }
  times.sort((a, b) => a - b);
  return { p50: times[Math.floor(times.length * 0.5)] ?? NaN, p99: times[Math.floor(times.length * 0.99)] ?? NaN };
}
