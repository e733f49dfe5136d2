import assert from "node:assert/strict";
import { ProtocolError } from "../../errors.ts";
import { randomInt } from "../../random.ts";
import {
  decodeConnectRequest,
  decodeConnectResponse,
  encodeConnectRequest,
  encodeConnectResponse,
} from "./connect_request.ts";
import { damage, fuzz, orRefused } from "./fuzz_tools.ts";
import { encodeFieldSection, type Field } from "./qpack.ts";

const REQUEST = { authority: "a:1", path: "/s?q", headers: [["x-y", "z"]] } as const;
/** Frames here are shorter than 64 bytes or take a two-byte length. */
const payload = (frame: Uint8Array) => frame.subarray(frame[1]! < 0x40 ? 2 : 3);
const SOUND: Field[] = [
  [":method", "CONNECT"],
  [":protocol", "webtransport"],
  [":scheme", "https"],
  [":authority", "a:1"],
  [":path", "/s?q"],
];

function malformed(fields: Field[]): void {
  assert.throws(
    () => decodeConnectRequest(encodeFieldSection(fields)),
    (error) => error instanceof ProtocolError && error.code === "malformed",
    JSON.stringify(fields),
  );
}

Deno.test("a request has golden bytes and comes back", () => {
  const frame = encodeConnectRequest(REQUEST);
  assert.equal(
    frame.toHex(),
    "01404f" + "0000" + "cf" + "27023a70726f746f636f6c0c7765627472616e73706f7274" + "d7" + "5003613a31" +
      "51042f733f71" +
      "27177365632d7765627472616e73706f72742d68747470332d64726166743032" + "0131" + "23782d79" + "017a",
  );
  assert.deepEqual(decodeConnectRequest(payload(frame)), {
    ...REQUEST,
    origin: undefined,
    headers: [["sec-webtransport-http3-draft02", "1"], ["x-y", "z"]],
  });
});

Deno.test("answers have golden bytes and come back", () => {
  assert.equal(
    encodeConnectResponse(200).toHex(),
    "0129" + "0000" + "d9" + "27157365632d7765627472616e73706f72742d68747470332d6472616674" + "07" + "64726166743032",
  );
  assert.equal(encodeConnectResponse(404).toHex(), "01030000db");
  assert.equal(encodeConnectResponse(429).toHex(), "01080000" + "5f0903343239");
  for (const status of [200, 404, 429, 500]) {
    assert.equal(decodeConnectResponse(payload(encodeConnectResponse(status))), status);
  }
});

Deno.test("both upgrade tokens and a browser's origin are understood", () => {
  const fields: Field[] = [...SOUND, ["origin", "https://page.example"]];
  assert.equal(decodeConnectRequest(encodeFieldSection(fields))?.origin, "https://page.example");
  fields[1] = [":protocol", "webtransport-h3"];
  assert.equal(decodeConnectRequest(encodeFieldSection(fields))?.path, "/s?q");
});

Deno.test("sound requests for something else are told from broken ones", () => {
  const get: Field[] = [[":method", "GET"], [":scheme", "https"], [":authority", "a"], [":path", "/"]];
  assert.equal(decodeConnectRequest(encodeFieldSection(get)), undefined);
  assert.equal(decodeConnectRequest(encodeFieldSection([[":method", "CONNECT"], [":authority", "a"]])), undefined);
  assert.equal(
    decodeConnectRequest(encodeFieldSection(SOUND.with(1, [":protocol", "websocket"]))),
    undefined,
  );
});

Deno.test("malformed requests are refused", () => {
  malformed([]);
  malformed(SOUND.slice(1));
  malformed(SOUND.slice(0, 4));
  malformed(SOUND.with(2, [":scheme", "http"]));
  malformed(SOUND.with(3, [":authority", ""]));
  malformed(SOUND.with(4, [":path", "s"]));
  malformed([...SOUND, [":path", "/t"]]);
  malformed([["x-y", "z"], ...SOUND]);
  malformed([...SOUND, ["X-Y", "z"]]);
  malformed([...SOUND, ["x y", "z"]]);
  malformed([...SOUND, ["", "z"]]);
});

Deno.test("line breaks in values are refused", () => {
  const bytes = encodeFieldSection([...SOUND, ["x", "a b"]]);
  bytes[bytes.lastIndexOf(0x20)] = 0x0a;
  assert.throws(() => decodeConnectRequest(bytes), { code: "malformed" });
});

Deno.test("a status that is none is refused", () => {
  for (const fields of [[], [[":status", "2000"]], [[":status", "abc"]], [[":status", "099"]]] as Field[][]) {
    assert.throws(() => decodeConnectResponse(encodeFieldSection(fields)), { code: "malformed" });
  }
});

Deno.test("header names that cannot be sent are refused before they are", () => {
  for (const name of ["X-Y", ":path", "a b", ""]) {
    assert.throws(() => encodeConnectRequest({ ...REQUEST, headers: [[name, "z"]] }), RangeError);
  }
});

Deno.test("damaged requests and answers decode or are refused", () => {
  fuzz(3000, (random) => {
    orRefused(() => decodeConnectRequest(damage(random, payload(encodeConnectRequest(REQUEST)))));
    orRefused(() => decodeConnectResponse(damage(random, payload(encodeConnectResponse(200)))));
    orRefused(() => decodeConnectRequest(new Uint8Array([0, 0, ...random(randomInt(random, 60))])));
  });
});
