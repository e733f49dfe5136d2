import assert from "node:assert/strict";
import { TicketError } from "../../shared/errors.ts";
import { generateIdentity } from "../../shared/identity.ts";
import { type RandomBytes, seededRandom } from "../../shared/random.ts";
import { parseClaims, parseSign1, signSign1 } from "../../shared/ticket/cose.ts";
import { signTicket, verifyTicket } from "../../shared/ticket/ticket.ts";
import { encodeCbor } from "../../shared/wire/cbor.ts";
import { someCbor, someValue } from "./cbor_values.ts";
import { type FuzzCase, orRefused } from "./fuzz.ts";
import { damaged, oneIn } from "./inputs.ts";

const NOW = 1_700_000_000_000;
const identity = await generateIdentity(seededRandom(1));
const TICKET = await signTicket(identity, {
  role: "connect",
  name: "calm-otter-1234",
  audience: "http://localhost:8080",
  now: NOW,
  random: seededRandom(2),
});

async function refused(bytes: Uint8Array): Promise<void> {
  await assert.rejects(verifyTicket(bytes, { now: NOW }), TicketError);
}

/** Properly signed claims, of which some are not what they should be. */
function strangeClaims(random: RandomBytes): Uint8Array {
  const claims = new Map(parseClaims(parseSign1(TICKET).payload));
  for (const label of claims.keys()) {
    if (oneIn(random, 8)) claims.set(label, someValue(random));
  }
  if (oneIn(random, 4)) claims.set(someValue(random), 1);
  return oneIn(random, 8) ? someCbor(random) : encodeCbor(claims);
}

export const ticket: readonly FuzzCase[] = [
  {
    name: "forged tickets",
    async round(random) {
      const bytes = damaged(random, TICKET);
      if (Buffer.compare(bytes, TICKET) !== 0) await refused(bytes);
    },
  },
  {
    name: "signed tickets",
    async round(random) {
      const payload = oneIn(random, 4) ? damaged(random, parseSign1(TICKET).payload) : strangeClaims(random);
      const bytes = await signSign1(payload, identity);
      try {
        const { issuer } = await verifyTicket(bytes, { now: NOW });
        assert.equal(issuer, identity.fingerprint);
      } catch (error) {
        assert.ok(error instanceof TicketError, String(error));
      }
      const sign1 = orRefused(() => parseSign1(damaged(random, bytes)));
      if (sign1 !== undefined) assert.equal(sign1.signature.length, 64);
    },
  },
];
