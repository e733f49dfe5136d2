import assert from "node:assert/strict";
import { createPrivateKey, sign as nodeSign } from "node:crypto";
import { TicketError, type TicketErrorCode } from "../errors.ts";
import { generateIdentity, type Identity, identityFrom } from "../identity.ts";
import { TICKET_LEEWAY_MS, TICKET_MAX_BYTES, TICKET_TTL_MS } from "../limits.ts";
import { randomInt, seededRandom } from "../random.ts";
import { encodeCbor } from "../wire/cbor.ts";
import { coseKey, parseClaims, parseSign1, signSign1 } from "./cose.ts";
import { signTicket, type TicketExpectation, type TicketRequest, verifyTicket } from "./ticket.ts";

const NOW = 1_700_000_000_000;
const AUDIENCE = "http://localhost:8080";
const EXPECTED: TicketExpectation = { audiences: [AUDIENCE], role: "share", name: "frosty-weasel-0857", now: NOW };

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const unhex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));
const ascii = (text: string) => hex(new TextEncoder().encode(text));

/** The key pair of RFC 8032, section 7.1, test 2. */
const SECRET = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
const PUBLIC = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";

function request(overrides: Partial<TicketRequest> = {}): TicketRequest {
  return { role: "share", name: EXPECTED.name!, audience: AUDIENCE, now: NOW, random: seededRandom(1), ...overrides };
}

/** A ticket with claims of the test's own choosing, properly signed. */
function craft(identity: Identity, change: (claims: Map<number, unknown>) => void): Promise<Uint8Array> {
  const issued = NOW / 1000;
  const claims = new Map<number, unknown>([
    [1, identity.fingerprint],
    [2, EXPECTED.name],
    [3, AUDIENCE],
    [4, issued + 120],
    [5, issued],
    [6, issued],
    [7, new Uint8Array(16)],
    [8, new Map([[1, coseKey(identity.publicKey)]])],
    [-70001, "share"],
  ]);
  change(claims);
  return signSign1(encodeCbor(claims), identity);
}

async function refuses(bytes: Uint8Array, code: TicketErrorCode, expected: TicketExpectation = EXPECTED, note = "") {
  await assert.rejects(verifyTicket(bytes, expected), (error) => {
    assert.ok(error instanceof TicketError, `${note} ${error}`);
    assert.equal(error.code, code, `${note} ${error.message}`);
    return true;
  });
}

Deno.test("a ticket is the COSE_Sign1 that RFC 9052 and RFC 8392 prescribe, byte for byte", async () => {
  const identity = await identityFrom(unhex(SECRET));
  const cti = hex(seededRandom(1)(16));
  const payload = unhex(`
    a9
      01 78 1f ${ascii(identity.fingerprint)}
      02 72 ${ascii("frosty-weasel-0857")}
      03 75 ${ascii("http://localhost:8080")}
      04 1a 6553f178
      05 1a 6553f100
      06 1a 6553f100
      07 50 ${cti}
      08 a1 01 a3 01 01 20 06 21 58 20 ${PUBLIC}
      3a 00011170 65 ${ascii("share")}`);
  assert.equal(payload.length, 0xa8);
  const toBeSigned = unhex(`84 6a ${ascii("Signature1")} 43 a10127 40 58a8 ${hex(payload)}`);
  // The signature is made by another implementation.
  const key = createPrivateKey({
    key: Buffer.from(`302e020100300506032b657004220420${SECRET}`, "hex"),
    format: "der",
    type: "pkcs8",
  });
  const signature = nodeSign(null, toBeSigned, key);
  const golden = unhex(`d2 84 43 a10127 a0 58a8 ${hex(payload)} 58 40 ${hex(signature)}`);

  assert.equal(hex(await signTicket(identity, request())), hex(golden));
  const claims = await verifyTicket(golden, EXPECTED);
  assert.deepEqual(claims, {
    role: "share",
    name: "frosty-weasel-0857",
    audience: AUDIENCE,
    id: cti,
    issuedAt: NOW,
    deadAt: NOW + TICKET_TTL_MS + TICKET_LEEWAY_MS,
    issuer: identity.fingerprint,
    publicKey: unhex(PUBLIC),
  });
});

Deno.test("a ticket holds within its time and leeway, and no millisecond longer", async () => {
  const identity = await generateIdentity(seededRandom(2));
  const ticket = await signTicket(identity, request());
  const at = (now: number) => verifyTicket(ticket, { ...EXPECTED, now });
  await at(NOW - TICKET_LEEWAY_MS);
  const claims = await at(NOW + TICKET_TTL_MS + TICKET_LEEWAY_MS - 1);
  await refuses(ticket, "ticket-expired", { ...EXPECTED, now: claims.deadAt });
  await refuses(ticket, "ticket-not-yet-valid", { ...EXPECTED, now: NOW - TICKET_LEEWAY_MS - 1 });
});

Deno.test("a ticket for another service, share or role is foreign", async () => {
  const ticket = await signTicket(await generateIdentity(seededRandom(2)), request());
  await refuses(ticket, "ticket-foreign", {
    ...EXPECTED,
    audiences: ["http://localhost:8081", "https://localhost:8080"],
  });
  await refuses(ticket, "ticket-foreign", { ...EXPECTED, audiences: [] });
  await refuses(ticket, "ticket-foreign", { ...EXPECTED, name: "frosty-weasel-0858" });
  await refuses(ticket, "ticket-foreign", { ...EXPECTED, role: "owner" });
  await verifyTicket(ticket, { now: NOW });
});

Deno.test("a ticket that names another issuer, or carries another's key, is forged", async () => {
  const random = seededRandom(3);
  const [mallory, alice] = [await generateIdentity(random), await generateIdentity(random)];
  await refuses(await craft(mallory, (claims) => claims.set(1, alice.fingerprint)), "ticket-forged");
  await refuses(
    await craft(mallory, (claims) => {
      claims.set(1, alice.fingerprint);
      claims.set(8, new Map([[1, coseKey(alice.publicKey)]]));
    }),
    "ticket-forged",
  );
  // A key of small order, under which one signature fits every ticket.
  const neutral = new Uint8Array(32);
  neutral[0] = 1;
  await refuses(await craft(mallory, (claims) => claims.set(8, new Map([[1, coseKey(neutral)]]))), "ticket-forged");
});

Deno.test("claims that are missing, of another type or out of range make a ticket malformed", async () => {
  const identity = await generateIdentity(seededRandom(4));
  const issued = NOW / 1000;
  const key = (pairs: [unknown, unknown][]) => new Map([[1, new Map(pairs)]]);
  const wrong: [number, unknown[]][] = [
    [2, ["", 7, null, "x".repeat(64), "new\nline", "dêmo"]],
    [3, ["", "x".repeat(300), ["http://localhost:8080"]]],
    [4, [issued + 121, issued + 1e9, -1, 1.5, "soon", null, 2 ** 33]],
    [5, [null, issued - 1]],
    [6, [null, issued - 1, true]],
    [7, [new Uint8Array(15), new Uint8Array(17), "0".repeat(16)]],
    [8, [
      null,
      new Map(),
      key([[1, 1], [-1, 6]]),
      key([[1, 1], [-1, 6], [-2, new Uint8Array(31)]]),
      key([[1, 2], [-1, 6], [-2, identity.publicKey]]),
      key([[1, 1], [-1, 4], [-2, identity.publicKey]]),
      key([[1, 1], [-1, 6], [-2, identity.publicKey], [-4, new Uint8Array(32)]]),
    ]],
    [-70001, ["admin", "", 1, null]],
  ];
  for (const [label, values] of wrong) {
    await refuses(await craft(identity, (claims) => claims.delete(label)), "ticket-malformed", EXPECTED, `no ${label}`);
    for (const value of values) {
      const ticket = await craft(identity, (claims) => claims.set(label, value));
      await refuses(ticket, "ticket-malformed", EXPECTED, `${label}: ${JSON.stringify(value)}`);
    }
  }
});

Deno.test("claims that later versions may add are passed over", async () => {
  const ticket = await craft(await generateIdentity(seededRandom(4)), (claims) => claims.set(-70999, ["x", 1]));
  assert.equal((await verifyTicket(ticket, EXPECTED)).name, EXPECTED.name);
});

Deno.test("other encodings of the same content are refused, although correctly signed", async () => {
  const identity = await generateIdentity(seededRandom(5));
  const good = await signTicket(identity, request());
  const { payload, signature } = parseSign1(good);
  const doubled = new Uint8Array([
    0xaa,
    ...payload.subarray(1),
    0x02,
    0x72,
    ...new TextEncoder().encode("frosty-weasel-0858"),
  ]);
  const long = new Uint8Array([0xb8, 0x09, ...payload.subarray(1)]);
  const indefinite = new Uint8Array([0xbf, ...payload.subarray(1), 0xff]);
  for (const variant of [doubled, long, indefinite, new Uint8Array(), Uint8Array.of(0x80)]) {
    assert.throws(() => parseClaims(variant), { code: "ticket-malformed" });
    await refuses(await signSign1(variant, identity), "ticket-malformed");
  }
  const envelope = (parts: unknown[]) => new Uint8Array([0xd2, ...encodeCbor(parts)]);
  const protectedHeader = Uint8Array.of(0xa1, 0x01, 0x27);
  for (
    const bytes of [
      new Uint8Array(),
      good.subarray(1),
      new Uint8Array([0xd1, ...good.subarray(1)]),
      new Uint8Array([0xd8, 61, ...good]),
      new Uint8Array([...good, 0]),
      good.subarray(0, good.length - 1),
      new Uint8Array(TICKET_MAX_BYTES + 1).fill(0xd2),
      envelope([protectedHeader, new Map(), payload]),
      envelope([protectedHeader, new Map([[4, 1]]), payload, signature]),
      envelope([protectedHeader, new Map(), null, signature]),
      envelope([protectedHeader, new Map(), payload, signature.subarray(1)]),
      envelope([Uint8Array.of(0xa1, 0x01, 0x26), new Map(), payload, signature]),
      envelope([new Uint8Array(), new Map([[1, -8]]), payload, signature]),
    ]
  ) {
    await refuses(bytes, "ticket-malformed", EXPECTED, hex(bytes).slice(0, 40));
  }
});

Deno.test("deep, wide and oversized tickets are refused before they are decoded", async () => {
  const identity = await generateIdentity(seededRandom(6));
  const deep = new Uint8Array(1500).fill(0x81);
  const wide = new Uint8Array([0x99, 0x05, 0x00, ...new Uint8Array(0x500)]);
  const huge = Uint8Array.of(0xd2, 0x84, 0x5b, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff);
  await refuses(await signSign1(deep, identity), "ticket-malformed");
  await refuses(await signSign1(wide, identity), "ticket-malformed");
  await refuses(huge, "ticket-malformed");
});

Deno.test("no mangled ticket is ever taken, and none fails otherwise than with a TicketError", async () => {
  const seed = Number(Deno.env.get("SEED") ?? Date.now() % 1e9);
  const random = seededRandom(seed);
  const good = await signTicket(await generateIdentity(random), request({ random }));
  for (let round = 0; round < 1500; round++) {
    let bytes = good.slice();
    switch (randomInt(random, 4)) {
      case 0:
        bytes[randomInt(random, bytes.length)]! ^= 1 << randomInt(random, 8);
        break;
      case 1:
        bytes = bytes.subarray(0, randomInt(random, bytes.length));
        break;
      case 2: {
        const at = randomInt(random, bytes.length);
        bytes = new Uint8Array([...bytes.subarray(0, at), ...random(1 + randomInt(random, 8)), ...bytes.subarray(at)]);
        break;
      }
      default:
        bytes = new Uint8Array([0xd2, 0x84, ...random(randomInt(random, 200))]);
    }
    await assert.rejects(verifyTicket(bytes, EXPECTED), TicketError, `SEED=${seed} round ${round}: ${hex(bytes)}`);
  }
});
