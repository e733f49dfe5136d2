import assert from "node:assert/strict";
import { ProtocolError } from "../errors.ts";
import { decodeLaneHeader, encodeLaneHeader, type LaneHeader } from "./lane_header.ts";

const MAX = Number.MAX_SAFE_INTEGER;

const GOLDEN: [LaneHeader, string][] = [
  [{ op: "open", id: 0, target: { host: "", port: 0 } }, "00" + "00" + "0000"],
  [{ op: "open", id: 1, target: { host: "", port: 22 } }, "00" + "01" + "0016"],
  [
    { op: "open", id: 16_384, target: { host: "db.example", port: 65_535 } },
    "00" + "80004000" + "ffff" + "64622e6578616d706c65",
  ],
  [
    { op: "resume", id: 1, received: 2, limit: 131_072, target: { host: "", port: 22 } },
    "01" + "01" + "02" + "80020000" + "0016",
  ],
  [
    { op: "resume", id: MAX, received: MAX, limit: MAX, target: { host: "bücher.example", port: 443 } },
    "01" + "c01fffffffffffff".repeat(3) + "01bb" + "62c3bc636865722e6578616d706c65",
  ],
  [{ op: "open", id: 7, target: { host: "2001:db8::7", port: 53 } }, "00" + "07" + "0035" + "323030313a6462383a3a37"],
  [{ op: "datagrams" }, "02"],
];

const decode = (hex: string) => decodeLaneHeader(Uint8Array.fromHex(hex));
const refused = (code: string) => (error: unknown) => error instanceof ProtocolError && error.code === code;

Deno.test("golden bytes: every lane header, both ways", () => {
  for (const [header, hex] of GOLDEN) {
    assert.equal(encodeLaneHeader(header).toHex(), hex);
    assert.deepEqual(decode(hex), header);
  }
});

Deno.test("a lane header that ends too soon is refused, or is one of a shorter host", () => {
  for (const [header, hex] of GOLDEN) {
    for (let end = 0; end < hex.length; end += 2) {
      let found;
      try {
        found = decode(hex.slice(0, end));
      } catch (error) {
        assert.ok(error instanceof ProtocolError, `${error}`);
        continue;
      }
      assert.ok(found.op !== "datagrams" && header.op !== "datagrams");
      assert.equal(found.id, header.id);
      assert.ok(header.target.host.startsWith(found.target.host) && found.target.host !== header.target.host);
    }
  }
});

Deno.test("senseless lane headers are refused", () => {
  const cases: [string, string][] = [
    ["", "unexpected"],
    ["03010016", "unexpected"],
    ["ff010016", "unexpected"],
    // Something behind the header of a lane for datagrams.
    ["0200", "unexpected"],
    // Port 0 is only for stream 0, and stream 0 only has port 0.
    ["00010000", "malformed"],
    ["00000016", "malformed"],
    // Numbers beyond 2^53.
    ["00ffffffffffffffff0016", "too-large"],
    ["0101ffffffffffffffff0016", "too-large"],
    // Hosts: no text, or with characters that belong in no host.
    ["00010016ff", "malformed"],
    ["00010016c3", "malformed"],
    ["0001001600", "malformed"],
    ["000100160a", "malformed"],
    ["000100161b5b316d", "malformed"],
    ["000100166120", "malformed"],
    ["0001001661c285", "malformed"],
    ["00010016" + "61".repeat(256), "malformed"],
  ];
  for (const [hex, code] of cases) assert.throws(() => decode(hex), refused(code), hex);
});

Deno.test("a host has at most 255 bytes, whatever its characters", () => {
  const open = (host: string): LaneHeader => ({ op: "open", id: 1, target: { host, port: 1 } });
  for (const host of ["a".repeat(255), "ü".repeat(127)]) {
    assert.deepEqual(decodeLaneHeader(encodeLaneHeader(open(host))), open(host));
  }
  for (const host of ["a".repeat(256), "ü".repeat(128)]) {
    assert.throws(() => encodeLaneHeader(open(host)), refused("too-large"));
  }
});
