import assert from "node:assert/strict";
import {
  decodeAbort,
  decodeRequestHead,
  decodeResponseHead,
  decodeTrailers,
  encodeAbort,
  encodeRequestHead,
  encodeResponseHead,
  encodeTrailers,
} from "../../shared/http/head.ts";
import { type RandomBytes, randomInt } from "../../shared/random.ts";
import { encodeCbor } from "../../shared/wire/cbor.ts";
import { someCbor, someValue } from "./cbor_values.ts";
import { assertSame, type FuzzCase, orRefused } from "./fuzz.ts";
import { damaged, oneIn, pick, several, someSize, someText } from "./inputs.ts";

const latin1 = (random: RandomBytes) => String.fromCharCode(...random(someSize(random, 100)));
const value = (random: RandomBytes) => latin1(random).replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, "");
const fields = (random: RandomBytes) =>
  several(random, 8, () => [pick(random, ["Host", "x-a", "Set-Cookie", "TE"]), value(random)]).flat();

/** A head that is right but for one thing or another. */
function strangeHead(random: RandomBytes, ...right: readonly unknown[]): Uint8Array {
  if (oneIn(random, 8)) return someCbor(random);
  return encodeCbor(right.map((item) => {
    if (!oneIn(random, 4)) return item;
    if (!Array.isArray(item)) return oneIn(random, 2) ? latin1(random) : someValue(random);
    return item.map((text: unknown) =>
      oneIn(random, 4) ? pick(random, [latin1(random), someText(random, 30), 1, null]) : text
    );
  }));
}

/** Nothing that could end the line it will stand in, or the head. */
function assertOneLine(texts: readonly string[]): void {
  for (const text of texts) assert.ok(!/[\0\r\n]|[^\0-\xff]/.test(text), JSON.stringify(text));
}

export const http: readonly FuzzCase[] = [
  {
    name: "request heads",
    round(random) {
      const target = "/" + latin1(random).replaceAll(/[\0-\x20\x7f]/g, "");
      const head = { method: pick(random, ["GET", "PROPFIND", "x!"]), target, headers: fields(random) };
      assertSame(decodeRequestHead(encodeRequestHead(head)), head);
      const input = oneIn(random, 2)
        ? strangeHead(random, head.method, head.target, head.headers)
        : damaged(random, encodeRequestHead(head));
      const found = orRefused(() => decodeRequestHead(input));
      if (found === undefined) return;
      assertOneLine([found.method, found.target, ...found.headers]);
      assertSame(decodeRequestHead(encodeRequestHead(found)), found);
    },
  },
  {
    name: "response heads",
    round(random) {
      const head = { status: 100 + randomInt(random, 900), reason: value(random), headers: fields(random) };
      assertSame(decodeResponseHead(encodeResponseHead(head)), head);
      const input = oneIn(random, 2)
        ? strangeHead(random, head.status, head.reason, head.headers)
        : damaged(random, encodeResponseHead(head));
      const found = orRefused(() => decodeResponseHead(input));
      if (found === undefined) return;
      assertOneLine([found.reason, ...found.headers]);
      assertSame(decodeResponseHead(encodeResponseHead(found)), found);
    },
  },
  {
    name: "trailers and aborts",
    round(random) {
      const trailers = fields(random);
      assertSame(decodeTrailers(encodeTrailers(trailers)), trailers);
      const found = orRefused(() => decodeTrailers(damaged(random, encodeTrailers(trailers), new Uint8Array(1))));
      if (found !== undefined) assertOneLine(found);
      const [code, message] = [someText(random, 60), someText(random, 190)];
      assertSame(decodeAbort(encodeAbort(code, message)), { code, message });
      const abort = orRefused(() => decodeAbort(damaged(random, encodeAbort(code, message))));
      if (abort !== undefined) assert.ok(typeof abort.code === "string" && typeof abort.message === "string");
    },
  },
];
