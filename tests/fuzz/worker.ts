import assert from "node:assert/strict";
import {
  parseBase64Url,
  parseEdgeId,
  parseEdgeReport,
  parseJurisdiction,
  parseObject,
  parseSshClaim,
  parseSshKey,
  parseWish,
} from "../../worker/api/input.ts";
import { placeText } from "../../agent/share/place_text.ts";
import { dataCentre, locationHint } from "../../worker/placement/location_hint.ts";
import { readObjectPlace } from "../../shared/object_place.ts";
import { SSH_KEY_MAX_BYTES } from "../../shared/limits.ts";
import type { RandomBytes } from "../../shared/random.ts";
import { someValue } from "./cbor_values.ts";
import { type FuzzCase, orRefused } from "./fuzz.ts";
import { damagedText, oneIn, someSize, someText } from "./inputs.ts";

const WISH = { expiresAt: 1_700_000_000_000, chosen: true, meta: { target: "http://localhost:3000", port: 3000 } };
const REPORT = {
  instance: "i",
  region: "eu",
  url: "https://edge.example.com:8443/.spanway/session",
  ws: "wss://edge.example.com/.spanway/session",
  certHashes: ["00".repeat(32)],
  origin: "http://127.0.0.1:8080",
};

const SSH_CLAIM = { by: "hh3rhuf-giqst6b-cssqq3t-5i3tmej" };

const CF = { country: "DE", continent: "EU", longitude: "8.68", colo: "FRA" };
const PLACE = { jurisdiction: "eu", near: "FRA" };

function parseObjectOrNothing(text: string): Record<string, unknown> | undefined {
  return orRefused(() => parseObject(text));
}

/** JSON of `sample` with other values here and there, or damaged as a text. */
function someJson(random: RandomBytes, sample: object): string {
  if (oneIn(random, 3)) return damagedText(random, JSON.stringify(sample), "[".repeat(5000), '{"a":'.repeat(1000));
  const fields = Object.entries(sample).map(([name, value]) => [name, oneIn(random, 5) ? someValue(random, 3) : value]);
  return JSON.stringify(Object.fromEntries(fields));
}

export const worker: readonly FuzzCase[] = [
  {
    name: "bodies of the service's API",
    round(random) {
      const wish = orRefused(() => parseWish(parseObject(someJson(random, WISH))));
      if (wish !== undefined) assert.ok(Number.isInteger(wish.expiresAt) && typeof wish.chosen === "boolean");
      const report = orRefused(() => parseEdgeReport(parseObject(someJson(random, REPORT))));
      if (report !== undefined) assert.ok(URL.canParse(report.url) && URL.canParse(report.ws));
      const text = random(someSize(random, SSH_KEY_MAX_BYTES + 2)).toBase64({
        alphabet: "base64url",
        omitPadding: true,
      });
      const ssh = orRefused(() => parseSshKey(parseObject(someJson(random, { key: text, once: true }))));
      if (ssh !== undefined) assert.ok(ssh.key.length > 0 && ssh.key.length <= SSH_KEY_MAX_BYTES);
      const claim = orRefused(() => parseSshClaim(parseObject(someJson(random, SSH_CLAIM))));
      if (claim !== undefined) assert.match(claim, /^[a-z2-7-]{31}$/);
      const id = orRefused(() => parseEdgeId(someText(random, 80)));
      if (id !== undefined) assert.match(id, /^[a-z0-9._-]{1,63}$/);
    },
  },
  {
    name: "where a share is to be kept, and what is said of it",
    round(random) {
      const wanted = orRefused(() => parseJurisdiction(parseObject(someJson(random, { jurisdiction: "eu" }))));
      assert.ok(wanted === undefined || wanted === "eu");
      const cf = parseObjectOrNothing(someJson(random, CF));
      assert.match(dataCentre(cf) ?? "XXX", /^[A-Z]{3}$/);
      const hint = locationHint(cf);
      assert.ok(hint === undefined || /^[a-z]{2,4}$/.test(hint));
      const place = readObjectPlace(parseObjectOrNothing(someJson(random, { ...PLACE, hint: someText(random, 6) })));
      if (place !== undefined) assert.match(placeText(place), /^[\x20-\x7e]{1,80}$/);
    },
  },
  {
    name: "tickets in base64url",
    round(random) {
      const bytes = random(someSize(random, 300));
      const text = bytes.toBase64({ alphabet: "base64url", omitPadding: true });
      assert.deepEqual(parseBase64Url(text), bytes);
      const input = damagedText(random, text);
      const found = orRefused(() => parseBase64Url(input));
      if (found !== undefined) assert.ok(found.length <= input.length);
    },
  },
];
