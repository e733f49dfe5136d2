import assert from "node:assert/strict";
import { isIP } from "node:net";
import {
  readSocksDatagram,
  REPLY,
  socksDatagram,
  SocksHandshake,
  socksReply,
  type SocksRequest,
} from "../../agent/connect/socks/socks_protocol.ts";
import { type RandomBytes, randomInt } from "../../shared/random.ts";
import type { FuzzCase } from "./fuzz.ts";
import { concat, damaged, oneIn, pick, pieces, someSize } from "./inputs.ts";

/** ATYP, address and port, and what the host must come out as. */
function someAddress(random: RandomBytes): { bytes: Uint8Array; host: string | undefined; port: number } {
  const port = randomInt(random, 65_536);
  const tail = Uint8Array.of(port >>> 8, port & 0xff);
  switch (randomInt(random, 3)) {
    case 0: {
      const ip = random(4);
      return { bytes: concat(Uint8Array.of(1), ip, tail), host: ip.join("."), port };
    }
    case 1: {
      const ip = oneIn(random, 2) ? random(16) : new Uint8Array(16).fill(randomInt(random, 2), randomInt(random, 17));
      const text = ip.toHex().replaceAll(/(.{4})(?=.)/g, "$1:");
      // As URLs spell it.
      return {
        bytes: concat(Uint8Array.of(4), ip, tail),
        host: new URL(`http://[${text}]`).hostname.slice(1, -1),
        port,
      };
    }
    default: {
      const name = new TextEncoder().encode("a-B.example\u00e9".slice(0, 1 + randomInt(random, 12)));
      const host = new TextDecoder().decode(name);
      return { bytes: concat(Uint8Array.of(3, name.length), name, tail), host, port };
    }
  }
}

interface Outcome {
  replies: string;
  request?: SocksRequest | undefined;
  rest: string;
  failed: boolean;
}

/** What a server makes of a client that sends `parts`. */
function outcomeOf(parts: readonly Uint8Array[], password: Uint8Array | undefined): Outcome {
  const right = (_user: Uint8Array, tried: Uint8Array) => Buffer.compare(tried, password!) === 0;
  const handshake = new SocksHandshake(password && right);
  const outcome: Outcome = { replies: "", rest: "", failed: false };
  for (const part of parts) {
    // Once the request is there, bytes go past the handshake.
    if (outcome.request !== undefined) {
      outcome.rest += part.toHex();
      continue;
    }
    if (outcome.failed) break;
    const step = handshake.feed(part);
    for (const reply of step.replies) outcome.replies += reply.toHex() + " ";
    outcome.request = step.request;
    outcome.rest += step.rest?.toHex() ?? "";
    outcome.failed = step.failed ?? false;
  }
  return outcome;
}

export const socks: readonly FuzzCase[] = [
  {
    name: "socks clients",
    round(random) {
      const password = oneIn(random, 2) ? random(someSize(random, 255)) : undefined;
      const { bytes, host, port } = someAddress(random);
      const greeting = password === undefined ? Uint8Array.of(5, 1, 0) : Uint8Array.of(5, 2, 0, 2);
      const credentials = password ? concat(Uint8Array.of(1, 1, 0x75, password.length), password) : new Uint8Array(0);
      const [command, number] = pick(random, [["connect", 1], ["associate", 3]] as const);
      const early = random(someSize(random, 3000));
      const sound = concat(greeting, credentials, Uint8Array.of(5, number, 0), bytes, early);
      const outcome = outcomeOf(pieces(random, sound), password);
      assert.deepEqual(outcome.request, { command, host, port });
      assert.equal(outcome.rest, early.toHex());
      assert.equal(outcome.failed, false);

      const input = damaged(random, sound);
      const whole = outcomeOf(input.length === 0 ? [] : [input], password);
      assert.deepEqual(outcomeOf(pieces(random, input), password), whole);
      if (whole.request === undefined) return;
      assert.ok(whole.request.port >= 0 && whole.request.port <= 65_535 && whole.request.host !== "");
      if (password !== undefined) assert.ok(input.toHex().includes(password.toHex()), "nobody gets in without it");
    },
  },
  {
    name: "socks datagrams and replies",
    round(random) {
      const { bytes, host, port } = someAddress(random);
      const payload = random(someSize(random, 1500));
      const datagram = concat(new Uint8Array(3), bytes, payload);
      const read = readSocksDatagram(datagram);
      if (port === 0) assert.equal(read, undefined);
      else {
        assert.deepEqual({ host: read!.host, port: read!.port, payload: read!.payload }, { host, port, payload });
        assert.deepEqual(socksDatagram(read!.header, read!.payload), datagram);
      }
      const found = readSocksDatagram(damaged(random, datagram));
      if (found !== undefined) assert.ok(found.host !== "" && found.port > 0);
      if (isIP(host ?? "") === 0) return;
      assert.deepEqual(socksReply(REPLY.succeeded, { host: host!, port }), concat(Uint8Array.of(5, 0, 0), bytes));
    },
  },
];
