import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { WebSocket } from "ws";
import { encodeVarint } from "../../wire/varint.ts";
import { echoServer, pattern, roundTrip, within } from "../compliance_tools.ts";
import { seededRandom } from "../memory.ts";
import { listenQmux } from "./loopback.ts";
import { QMUX_SUBPROTOCOL } from "./session.ts";
import { connectQmux } from "./ws.ts";

const STRANGERS = 150;

Deno.test("qmux: strangers who send garbage are cut, quietly, and disturb nobody", async () => {
  const seed = randomInt(2 ** 31);
  const random = seededRandom(seed);
  const printed: unknown[] = [];
  const { error, warn } = console;
  console.error = console.warn = (...args: unknown[]) => printed.push(args);
  const listener = await listenQmux({ timeoutMs: 500 });
  try {
    const neighbour = await connectQmux(listener.url);
    void echoServer(await listener.accepted[0]!);
    for (let i = 1; i <= STRANGERS; i++) {
      const stranger = new WebSocket(listener.url, QMUX_SUBPROTOCOL, { perMessageDeflate: false });
      stranger.on("error", () => {});
      await once(stranger, "open");
      const ended = once(stranger, "close");
      void listener.accepted[i]!.then((session) => echoServer(session), () => {});
      misbehave(stranger, random, i);
      // Records that happen to be allowed keep a session open: then the stranger leaves in the middle.
      if (random() < 0.3) stranger.terminate();
      await Promise.race([ended, roundTrip(neighbour, pattern(100, i))]);
      stranger.terminate();
      await within(ended, `the end of stranger ${i}`);
    }
    await roundTrip(neighbour, pattern(100_000));
    for (const session of listener.accepted.slice(1)) {
      const closed = session.then(({ closed }) => closed, () => undefined);
      await within(closed, "the end of every session of a stranger");
    }
    neighbour.close();
  } catch (failure) {
    throw new Error(`seed ${seed}`, { cause: failure });
  } finally {
    Object.assign(console, { error, warn });
    await listener.close();
  }
  assert.deepEqual(printed, [], `seed ${seed}`);
});

/** Sends a few records that are wrong in one way or another; every other stranger begins properly. */
function misbehave(stranger: WebSocket, random: () => number, round: number): void {
  if (round % 2 === 0) stranger.send(parameters(random));
  for (let i = 0; i < 1 + random() * 8; i++) {
    const kind = random();
    if (kind < 0.05) stranger.send("text");
    else if (kind < 0.1) stranger.send(new Uint8Array(random() * 40_000));
    else if (kind < 0.15) {
      // Bytes below the WebSocket's framing.
      (stranger as unknown as { _socket: { write(bytes: Uint8Array): void } })._socket.write(noise(random, 30));
    } else if (kind < 0.3) stranger.send(noise(random, 60));
    else stranger.send(Uint8Array.from(Array.from({ length: 1 + random() * 3 }, () => [...frame(random)]).flat()));
  }
}

function noise(random: () => number, max: number): Uint8Array {
  return Uint8Array.from({ length: 1 + random() * max }, () => random() * 256);
}

function parameters(random: () => number): Uint8Array {
  const body = [1, 4, 5, 6, 7, 8, 9, 0x20].flatMap((id) => {
    const value = encodeVarint(Math.floor(random() * 2 ** (random() * 52)));
    return random() < 0.9 ? [id, value.length, ...value] : [];
  });
  return Uint8Array.of(0xff, 0x51, 0x53, 0x30, 0x0d, 0x0a, 0x0d, 0x0a, ...encodeVarint(body.length), ...body);
}

/** One frame with a plausible type and arbitrary fields. */
function frame(random: () => number): Uint8Array {
  const types = [
    0,
    4,
    5,
    8,
    9,
    0xa,
    0xb,
    0xc,
    0xd,
    0xe,
    0xf,
    0x10,
    0x11,
    0x12,
    0x14,
    0x16,
    0x1c,
    0x1d,
    0x24,
    0x30,
    0x31,
  ];
  const type = types[Math.floor(random() * types.length)]!;
  const number = () => encodeVarint(Math.floor(random() < 0.7 ? random() * 12 : random() * 2 ** (random() * 50)));
  const bytes = noise(random, 20);
  const tail = random() < 0.6 ? [...encodeVarint(bytes.length), ...bytes] : [...bytes];
  const fields = Array.from({ length: Math.floor(random() * 4) }, () => [...number()]).flat();
  if (random() < 0.1) return Uint8Array.of(0xf4, 0x8c, 0x67, 0x52, 0x9e, 0xf8, 0xc7, 0xbd, ...number());
  return Uint8Array.of(type, ...fields, ...tail);
}
