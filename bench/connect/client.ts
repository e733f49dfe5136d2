/**
 * The client of the measurements: one measurement a process. Usage: client.ts WHAT PORT SECONDS [COUNT]. Prints its result
 * as one line of JSON. `idle` keeps COUNT connections open until it is killed.
 */
import { COUNT_QUERY, COUNTED, ECHOED } from "./datagram.ts";

const [what = "", portText, secondsText, countText] = Deno.args;
const hostname = "127.0.0.1";
const port = Number(portText);
const ms = Number(secondsText) * 1000;
const count = Number(countText ?? 1);
/** What comes before is not counted: windows that grow, code that is compiled. */
const WARM_UP_MS = 500;
/** A datagram that has not come back by then is lost. */
const LOST_MS = 500;

const measures: Record<string, () => Promise<unknown>> = { down, up, roundTrips, connections, idle, udpEcho, udpLoss };
const measure = measures[what];
if (measure === undefined) throw new Error(`there is no measurement "${what}"`);
console.log(JSON.stringify(await measure()));
if (what !== "idle") Deno.exit();

async function connect(): Promise<Deno.TcpConn> {
  const connection = await Deno.connect({ hostname, port });
  connection.setNoDelay(true);
  return connection;
}

/** MB/s read from COUNT streams together. */
async function down(): Promise<number> {
  let bytes = 0;
  const connections = await Promise.all(Array.from({ length: count }, connect));
  const reading = connections.map(async (connection) => {
    const buffer = new Uint8Array(256 * 1024);
    try {
      for (let n = await connection.read(buffer); n !== null; n = await connection.read(buffer)) bytes += n;
    } catch {
      // Closed below.
    }
  });
  await sleep(WARM_UP_MS);
  const [before, from] = [bytes, performance.now()];
  await sleep(ms);
  const rate = (bytes - before) / 1000 / (performance.now() - from);
  for (const connection of connections) connection.close();
  await Promise.all(reading);
  return rate;
}

/** MB/s that have arrived at the sink, of COUNT streams together: what waits in between is waited for. */
async function up(): Promise<number> {
  const from = performance.now();
  const chunk = new Uint8Array(256 * 1024);
  const arrived = await Promise.all(Array.from({ length: count }, async () => {
    const connection = await connect();
    let sent = 0;
    while (performance.now() - from < ms + WARM_UP_MS) sent += await connection.write(chunk);
    await connection.closeWrite();
    const answer = new Uint8Array(32);
    let at = 0;
    for (let n = await connection.read(answer); n !== null; n = await connection.read(answer.subarray(at))) at += n;
    connection.close();
    const counted = Number(new TextDecoder().decode(answer.subarray(0, at)));
    if (at === 0 || counted !== sent) throw new Error(`of ${sent} bytes ${counted} arrived`);
    return counted;
  }));
  return arrived.reduce((sum, bytes) => sum + bytes, 0) / 1000 / (performance.now() - from);
}

/** Percentiles in milliseconds of 64 bytes there and back. */
async function roundTrips() {
  const connection = await connect();
  const message = new Uint8Array(64);
  const times: number[] = [];
  const begin = performance.now();
  for (let from = begin; from - begin < ms + WARM_UP_MS;) {
    await exchange(connection, message);
    const now = performance.now();
    if (from - begin >= WARM_UP_MS) times.push(now - from);
    from = now;
  }
  connection.close();
  return percentiles(times);
}

async function exchange(connection: Deno.TcpConn, message: Uint8Array): Promise<void> {
  const answer = new Uint8Array(64);
  await connection.write(message);
  for (let got = 0; got < message.length;) {
    const n = await connection.read(answer);
    if (n === null) throw new Error("the connection ended before the answer");
    got += n;
  }
}

/** Connections a second: connect, send 64 bytes, get 64 bytes, close; COUNT at a time. */
async function connections() {
  const message = new Uint8Array(64);
  let done = 0;
  let failed = 0;
  const begin = performance.now();
  const warm = begin + WARM_UP_MS;
  await Promise.all(Array.from({ length: count }, async () => {
    for (let now = begin; now - warm < ms; now = performance.now()) {
      try {
        const connection = await connect();
        await exchange(connection, message);
        connection.close();
        if (performance.now() >= warm) done++;
      } catch {
        failed++;
      }
    }
  }));
  return { rate: done / ((performance.now() - warm) / 1000), failed };
}

/** Opens COUNT connections, has each carry 64 bytes there and back, and keeps them. */
async function idle(): Promise<string> {
  const kept: Deno.TcpConn[] = [];
  const message = new Uint8Array(64);
  while (kept.length < count) {
    const some = await Promise.all(Array.from({ length: Math.min(20, count - kept.length) }, connect));
    await Promise.all(some.map((connection) => exchange(connection, message)));
    kept.push(...some);
  }
  setInterval(() => kept.length, 60_000);
  return "idle";
}

function udpSocket(): { socket: Deno.DatagramConn; to: Deno.NetAddr } {
  const socket = Deno.listenDatagram({ transport: "udp", hostname, port: 0 });
  return { socket, to: { transport: "udp", hostname, port } };
}

/** Datagrams of 200 bytes a second that come back, COUNT of them under way, and the share that does not. */
async function udpEcho() {
  const { socket, to } = udpSocket();
  /** By number: when it was sent. */
  const away = new Map<number, number>();
  const times: number[] = [];
  let next = 0;
  let lost = 0;
  const begin = performance.now();
  const end = begin + ms + WARM_UP_MS;
  const send = async () => {
    if (performance.now() >= end) return;
    const datagram = new Uint8Array(200);
    datagram[0] = ECHOED;
    new DataView(datagram.buffer).setUint32(4, next);
    away.set(next++, performance.now());
    await socket.send(datagram, to);
  };
  const watch = setInterval(() => {
    const now = performance.now();
    for (const [number, at] of away) {
      if (now - at < LOST_MS) break;
      away.delete(number);
      lost++;
      void send();
    }
  }, 50);
  for (let i = 0; i < count; i++) void send();
  void (async () => {
    for (;;) {
      const [datagram] = await socket.receive();
      const number = new DataView(datagram.buffer, datagram.byteOffset).getUint32(4);
      const at = away.get(number);
      if (at === undefined) continue;
      away.delete(number);
      const now = performance.now();
      if (now - begin >= WARM_UP_MS && now < end) times.push(now - at);
      await send();
    }
  })().catch(() => {});
  await sleep(ms + WARM_UP_MS + LOST_MS);
  clearInterval(watch);
  return { rate: times.length / (ms / 1000), loss: (lost + away.size) / Math.max(1, next), ...percentiles(times) };
}

/** COUNT datagrams of 200 bytes a second one way, evenly, and the share that does not arrive. */
async function udpLoss() {
  const { socket, to } = udpSocket();
  const run = Math.floor(Math.random() * 256);
  const query = Uint8Array.of(COUNT_QUERY, run);
  const ask = async () => {
    for (;;) {
      await socket.send(query, to);
      const answer = await Promise.race([socket.receive(), sleep(LOST_MS)]);
      if (answer !== undefined) return Number(new TextDecoder().decode(answer[0]));
    }
  };
  const before = await ask();
  const datagram = new Uint8Array(200);
  datagram.set([COUNTED, run]);
  const begin = performance.now();
  let sent = 0;
  for (let passed = 0; passed < ms; passed = performance.now() - begin) {
    for (const due = Math.floor(passed / 1000 * count); sent < due; sent++) await socket.send(datagram, to);
    await sleep(1);
  }
  await sleep(LOST_MS);
  const arrived = await ask() - before;
  return { loss: 1 - arrived / sent, rate: arrived / (ms / 1000) };
}

function percentiles(times: number[]): { p50: number; p99: number } {
  times.sort((a, b) => a - b);
  return { p50: times[Math.floor(times.length * 0.5)] ?? NaN, p99: times[Math.floor(times.length * 0.99)] ?? NaN };
}

function sleep(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), ms));
}
