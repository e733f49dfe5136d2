import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { OriginProblem } from "../agent/target/origin_exchange.ts";
import { encodeAbort, encodeRequestHead, encodeResponseHead, encodeTrailers } from "../shared/http/head.ts";
import { identityFrom } from "../shared/identity.ts";
import { seededRandom } from "../shared/random.ts";
import { EndCode } from "../shared/relay/relay_core.ts";
import { signTicket } from "../shared/ticket/ticket.ts";
import { encodeCloseCapsule } from "../shared/transport/h3/capsule.ts";
import { encodeSettings, OUR_SETTINGS } from "../shared/transport/h3/settings.ts";
import { QMUX_SUBPROTOCOL } from "../shared/transport/qmux/session.ts";
import { type ControlMessage, encodeControl, encodeStreamHeader } from "../shared/wire/control.ts";
import { encodeFrame, FrameType } from "../shared/wire/frame.ts";
import { SESSION_PATH } from "../worker/edge/edge.ts";

const doc = await readFile(new URL("../docs/protocol.md", import.meta.url), "utf8");
/** Whatever in the document could be bytes in hex, however it is spaced. A word in front may add a letter. */
const runs = doc.split(/[^0-9a-f\s]+/).map((run) => run.replaceAll(/\s/g, ""));

function shows(bytes: Uint8Array, what: string): void {
  const hex = new Uint8Array(bytes).toHex();
  assert.ok(runs.some((run) => run.endsWith(hex)), `docs/protocol.md lacks the bytes of ${what}: ${hex}`);
}

Deno.test("docs/protocol.md shows the bytes of control messages", () => {
  const messages: ControlMessage[] = [
    {
      t: "hello",
      versions: [1],
      role: "share",
      name: "frosty-weasel-0857",
      ticket: Uint8Array.of(1, 2),
      agent: "s",
    },
    { t: "welcome", version: 1, session: "a1", region: "local", expiresAt: 1_800_000_000_000 },
    { t: "refuse", code: "no", message: "m" },
    { t: "ping", n: 7 },
    { t: "pong", n: 7 },
    { t: "bye", code: "bye", message: "" },
  ];
  for (const message of messages) shows(encodeControl(message), message.t);
});

Deno.test("docs/protocol.md shows the bytes of a stream's header and frames", () => {
  shows(encodeStreamHeader({ k: "http" }), "the stream header");
  const frame = (type: FrameType, payload: Uint8Array, what: string) => shows(encodeFrame(type, payload), what);
  const request = { method: "GET", target: "/a?b", headers: ["Host", "x"] };
  frame(FrameType.HEAD, encodeRequestHead(request), "a request");
  frame(FrameType.HEAD, encodeResponseHead({ status: 204, reason: "No", headers: [] }), "a response");
  const hints = { status: 103, reason: "Early Hints", headers: ["Link", "</a>"] };
  frame(FrameType.INFO, encodeResponseHead(hints), "early hints");
  frame(FrameType.DATA, new TextEncoder().encode("hi"), "data");
  frame(FrameType.END, encodeTrailers([]), "an end");
  frame(FrameType.END, encodeTrailers(["A", "b"]), "trailers");
  frame(FrameType.ABORT, encodeAbort("c", "m"), "an abort");
});

Deno.test("docs/protocol.md shows a ticket", async () => {
  const secret = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"; // RFC 8032, section 7.1, test 2
  const identity = await identityFrom(Uint8Array.fromHex(secret));
  const ticket = await signTicket(identity, {
    role: "share",
    name: "frosty-weasel-0857",
    audience: "http://localhost:8080",
    now: 1_700_000_000_000,
    random: seededRandom(1),
  });
  shows(ticket, "a ticket");
  assert.ok(doc.includes(identity.fingerprint));
});

Deno.test("docs/protocol.md lists the codes of BYE and ABORT", () => {
  for (const code of [...Object.values(EndCode), ...Object.values(OriginProblem)]) {
    assert.ok(doc.includes(`| \`${code}\``), code);
  }
});

Deno.test("docs/protocol.md shows the HTTP/3 settings, a close, and the names both transports use", () => {
  shows(encodeSettings(OUR_SETTINGS), "the settings");
  shows(encodeCloseCapsule({ code: 4242, reason: "bye!" }), "a close");
  for (const name of [QMUX_SUBPROTOCOL, SESSION_PATH]) assert.ok(doc.includes(`\`${name}\``), name);
});
