import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { OriginProblem } from "../agent/target/origin_exchange.ts";
import { encodeAbort, encodeRequestHead, encodeResponseHead, encodeTrailers } from "../shared/http/head.ts";
import { identityFrom } from "../shared/identity.ts";
import { asDatagram, encodeFlowMessage } from "../shared/link/datagram.ts";
import { LinkKeys } from "../shared/link/keys.ts";
import { encodeLaneHeader } from "../shared/link/lane_header.ts";
import { encodeLinkMessage, type LinkMessage } from "../shared/link/link_control.ts";
import { encodeAck, noLinkRecord, RecordType, sealRecord } from "../shared/link/record.ts";
import { decodeResetCode } from "../shared/link/reset_code.ts";
import { seededRandom } from "../shared/random.ts";
import { encodeSshRecord, SSH_TARGET, SshAbout } from "../shared/ssh/messages.ts";
import { sealSshKey } from "../shared/ssh/sealed_key.ts";
import { encodeCbor } from "../shared/wire/cbor.ts";
import { ConnectorEnd } from "../shared/relay/connectors.ts";
import { EndCode } from "../shared/relay/relay_core.ts";
import { signTicket } from "../shared/ticket/ticket.ts";
import { encodeCloseCapsule } from "../shared/transport/h3/capsule.ts";
import { encodeSettings, OUR_SETTINGS } from "../shared/transport/h3/settings.ts";
import { QMUX_SUBPROTOCOL } from "../shared/transport/qmux/session.ts";
import { type ControlMessage, encodeControl, encodeStreamHeader } from "../shared/wire/control.ts";
import { encodeFrame, FrameType } from "../shared/wire/frame.ts";
import { SESSION_PATH } from "../worker/edge/edge.ts";

const PAGES = ["protocol", "protocol/http", "protocol/links", "protocol/service", "protocol/transports"];
const texts = await Promise.all(
  PAGES.map((page) => readFile(new URL(`../docs/${page}.md`, import.meta.url), "utf8")),
);
const doc = texts.join("\n");
/** Whatever in the pages could be bytes in hex, however it is spaced. A number in front may belong to the words. */
const runs = doc.replaceAll(/[`,]/g, " ").replaceAll(/(?<!\S)(?!([0-9a-f]{2})+(?!\S))\S+/g, "/").split("/")
  .map((run) => run.replaceAll(/\s/g, ""));

function shows(bytes: Uint8Array, what: string): void {
  const hex = new Uint8Array(bytes).toHex();
  assert.ok(runs.some((run) => run.endsWith(hex)), `docs/protocol lacks the bytes of ${what}: ${hex}`);
}

Deno.test("docs/protocol shows the bytes of control messages", () => {
  const hello = {
    t: "hello",
    versions: [1],
    role: "share",
    name: "frosty-weasel-0857",
    ticket: Uint8Array.of(1, 2),
    agent: "s",
  } as const;
  const messages: ControlMessage[] = [
    hello,
    { ...hello, session: "a1" },
    { t: "dial", session: "a1" },
    { t: "welcome", version: 1, session: "a1", region: "local", expiresAt: 1_800_000_000_000 },
    { t: "refuse", code: "no", message: "m" },
    { t: "ping", n: 7 },
    { t: "pong", n: 7 },
    { t: "bye", code: "bye", message: "" },
  ];
  for (const message of messages) shows(encodeControl(message), message.t);
});

Deno.test("docs/protocol shows the bytes of a stream's header and frames", () => {
  shows(encodeStreamHeader({ k: "http" }), "the stream header");
  shows(encodeStreamHeader({ k: "link" }), "the header of a lane");
  shows(encodeStreamHeader({ k: "link", ch: 7, from: "192.0.2.7:4433" }), "the header of a lane from an edge");
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

Deno.test("docs/protocol shows a ticket", async () => {
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

Deno.test("docs/protocol lists the codes of BYE and ABORT", () => {
  for (const code of [...Object.values(EndCode), ...Object.values(ConnectorEnd), ...Object.values(OriginProblem)]) {
    assert.ok(doc.includes(`| \`${code}\``), code);
  }
});

Deno.test("docs/protocol shows the HTTP/3 settings, a close, and the names both transports use", () => {
  shows(encodeSettings(OUR_SETTINGS), "the settings");
  shows(encodeCloseCapsule({ code: 4242, reason: "bye!" }), "a close");
  for (const name of [QMUX_SUBPROTOCOL, SESSION_PATH]) assert.ok(doc.includes(`\`${name}\``), name);
});

const utf8 = new TextEncoder();
const keys = new LinkKeys(Uint8Array.from({ length: 32 }, (_, i) => i), "connector");
const SSH = { host: "", port: 22 };
const open = encodeLaneHeader({ op: "open", id: 1, target: SSH });
const firstDatagram = encodeFlowMessage({
  kind: "data",
  flow: 5,
  target: { host: "", port: 53 },
  payload: utf8.encode("hi"),
});

Deno.test("docs/protocol shows the keys and records of a link", () => {
  const { send, receive } = keys.stream(1);
  for (const key of [keys.linkId, keys.lanes.send, keys.datagrams.send, send, receive]) shows(key, "a key");
  shows(sealRecord(send, RecordType.DATA, 0, utf8.encode("hi")), "DATA");
  shows(sealRecord(send, RecordType.END, 2), "END");
  shows(sealRecord(send, RecordType.RESET, 0, Uint8Array.of(3)), "RESET");
  shows(sealRecord(send, RecordType.ACK, 0, encodeAck({ received: 3, limit: 131_072 })), "ACK");
  shows(sealRecord(receive, RecordType.OPENED, 0), "OPENED");
  shows(sealRecord(receive, RecordType.DONE, 0), "DONE");
  shows(sealRecord(keys.lanes.send, RecordType.LANE, 0, open), "LANE");
  const datagram = sealRecord(keys.datagrams.send, RecordType.DATAGRAM, 0, firstDatagram);
  shows(datagram, "DATAGRAM");
  shows(asDatagram(datagram), "a datagram");
  shows(noLinkRecord(), "NO_LINK");
  for (const [name, type] of Object.entries(RecordType)) assert.ok(doc.includes(`| ${type} ${name} `), name);
});

Deno.test("docs/protocol shows the lane headers, flow messages and reasons of a link", () => {
  shows(open, "a lane header");
  shows(encodeLaneHeader({ op: "open", id: 2, target: { host: "db.internal", port: 5432 } }), "one with a host");
  shows(encodeLaneHeader({ op: "resume", id: 1, received: 2, limit: 131_072, target: SSH }), "a resumption");
  shows(encodeLaneHeader({ op: "datagrams" }), "a lane for datagrams");
  shows(firstDatagram, "a flow's first datagram");
  shows(encodeFlowMessage({ kind: "data", flow: 5, payload: utf8.encode("hi") }), "a flow's datagram");
  shows(encodeFlowMessage({ kind: "closed", flow: 5, code: "connection-refused" }), "a flow's end");
  for (let number = 1; number <= 12; number++) {
    assert.match(doc, new RegExp(`\\| ${number} +\\| \`${decodeResetCode(number)}\``));
  }
});

Deno.test("docs/protocol shows the control messages of a link, and what a handshake's payload looks like", () => {
  const messages: LinkMessage[] = [
    { t: "ping", n: 7 },
    { t: "mtu", max: 1200 },
    { t: "path", transport: "h3", edge: "local", region: "local", rttMs: 0, resumed: 0 },
    { t: "watch", ports: true },
    { t: "ports", tcp: [22, 80], udp: [53] },
    { t: "stuck", id: 7 },
    { t: "ask", n: 2, about: "ssh", data: Uint8Array.of(7) },
    { t: "answer", n: 2, code: "", message: "", hint: "", data: Uint8Array.of(8) },
    { t: "want-datagrams" },
    { t: "bye", message: "m" },
  ];
  for (const message of messages) shows(encodeLinkMessage(message), message.t);
  const settings = { resumeWindowMs: 600_000, agent: "spanway/0.1.0" };
  const payload = encodeCbor({ key: new Uint8Array(32), signature: new Uint8Array(64), settings });
  assert.equal(payload.length, 165);
  // What stands between the key, the signature and the end.
  for (const [from, to] of [[0, 7], [39, 51], [115, 165]]) shows(payload.slice(from, to), "a payload");
});

Deno.test("docs/protocol shows what agents say about SSH", () => {
  const sealKey = Uint8Array.from({ length: 32 }, (_, i) => i);
  const record = { user: "me", hostKeys: ["ssh-ed25519 AAAA"], publicKey: "ssh-ed25519 BBBB", sealKey, once: true };
  shows(encodeSshRecord(record), "a record");
  shows(sealSshKey(sealKey, "key\n"), "a sealed key");
  for (const about of Object.values(SshAbout)) assert.match(doc, new RegExp(`\\| \`${about}\``));
  assert.ok(doc.includes(`\`${SSH_TARGET.host}\``));
});
