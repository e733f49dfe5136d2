import assert from "node:assert/strict";
import { LinkError } from "../../shared/errors.ts";
import { LINK_RESUME_WINDOW_MS } from "../../shared/limits.ts";
import { ConnectReport } from "../connect/connect_report.ts";
import type { PathEvent } from "../connect/path_controller.ts";
import { parsePorts } from "../reach/port_set.ts";
import type { ServiceEvent } from "../relay/service.ts";
import { ServiceReport } from "../relay/service_report.ts";
import type { PeerEvent } from "../share/peers.ts";
import type { ShareEvent } from "../share/share_controller.ts";
import { ShareReport } from "../share/share_report.ts";
import { Output } from "./output.ts";
import { Writer } from "./writer.ts";

/** Sets the title, rings, hides, turns the direction of writing, clears the screen, and fakes a line. */
const EVIL = "\x1b]0;PWN\x07\x1b[8mx\u202e\x9b2J\u2028\r\nfake";
// deno-lint-ignore no-control-regex -- control characters are what this is about
const STEERING = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2028]/;

const edge = { id: EVIL, url: EVIL, ws: EVIL, region: EVIL, certHashes: [] };
const fallback = { why: "blocked", message: EVIL } as never;
const target = { host: EVIL, port: 80 };
const end = { code: "not-allowed", bytesIn: 0, bytesOut: 0, resumed: 0 } as const;

const PATH_EVENTS: PathEvent[] = [
  { event: "attached", edge, transport: "h3", fallback, resumed: 1 },
  { event: "linked", peer: { fingerprint: EVIL } as never, again: true },
  { event: "lost", code: EVIL, message: EVIL },
  { event: "waiting", code: EVIL, message: EVIL },
  { event: "stream", protocol: "udp", target, end, duration: 1 },
  { event: "ports", ports: { tcp: [1], udp: [] } },
  { event: "roundTrip", ms: 1 },
  { event: "roundTrip", ms: 1 },
  { event: "broken", error: new LinkError("tampered", EVIL, { hint: EVIL }) },
];

const place = { near: EVIL, hint: EVIL };
const registration = { name: EVIL, url: `http://x.localhost/${EVIL}`, expiresAt: 0, edges: [edge], place };
const SHARE_EVENTS: ShareEvent[] = [
  { event: "registered", registration },
  { event: "attached", registration, edge, transport: "h3", fallback, again: false },
  { event: "attached", registration, edge, transport: "h3", fallback, again: true },
  { event: "lost", code: EVIL, message: EVIL, retryInMs: 1 },
];

const session = { transport: "h3", remoteAddress: EVIL };
const SERVICE_EVENTS = [
  { event: "attached", share: { name: EVIL, session }, shares: 1 },
  { event: "detached", share: { name: EVIL, session }, reason: EVIL, shares: 0 },
  { event: "connected", connector: { name: EVIL, session, fingerprint: EVIL }, connectors: 1, lanes: 1 },
  {
    event: "disconnected",
    connector: { name: EVIL, session, fingerprint: EVIL },
    reason: EVIL,
    connectors: 0,
    lanes: 0,
  },
  { event: "refused", reason: EVIL, count: 1 },
  { event: "registered", problem: EVIL },
  { event: "worker-exit", reason: EVIL, restartInMs: 1 },
  { event: "worker-ready" },
  { event: "worker-log", line: EVIL },
] as unknown as ServiceEvent[];

function connects(output: Output): void {
  const report = new ConnectReport(output, EVIL, false);
  const { [0]: first } = PATH_EVENTS;
  report.event(first!);
  const forwards = [{ local: EVIL, target: EVIL }];
  report.ready({
    name: EVIL,
    fingerprint: EVIL,
    firstUse: true,
    socks: EVIL,
    ip: EVIL,
    ip6: EVIL,
    device: EVIL,
    hostname: EVIL,
    hint: "Our own words.",
    forwards,
  });
  for (const event of PATH_EVENTS) report.event(event);
  report.ended();
}

function shares(output: Output): void {
  const options = {
    ...{ json: output.json, quiet: false, relay: new URL("http://localhost:8080"), name: undefined, expires: 1 },
    ...{ hostHeader: { mode: "rewrite" as const }, insecureTarget: false, qr: false, disableHttp: false },
    ...{ reach: { ports: parsePorts("all"), allowHosts: [] }, resumeWindow: LINK_RESUME_WINDOW_MS },
    ...{ ssh: undefined, jurisdiction: undefined },
  };
  const open = {
    handle: () => assert.fail(),
    key: "",
    host: EVIL,
    label: EVIL,
    found: [],
    listening: false,
    close() {},
  };
  const report = new ShareReport(output, options, open, EVIL);
  for (const event of SHARE_EVENTS) report.event(event);
  for (const state of ["connected", "resumed", "away", "gone"] as const) {
    const numbers = { rttMs: 1, resumed: 1, streams: 1, bytesIn: 1, bytesOut: 1 };
    const peer: PeerEvent = {
      state,
      fingerprint: EVIL,
      from: EVIL,
      transport: EVIL,
      edge: EVIL,
      region: EVIL,
      ...numbers,
    };
    report.peer(peer);
  }
  report.stream({ fingerprint: EVIL, protocol: "udp", target, ms: 1, ...end });
  report.request({ method: EVIL, path: EVIL, status: 200, ms: 1, bytesIn: 0, bytesOut: 0, error: EVIL } as never);
  report.ended("expired");
}

function serves(output: Output): void {
  const report = new ServiceReport(output);
  report.ready();
  for (const event of SERVICE_EVENTS) report.tell(event);
}

function carelessly(output: Output): void {
  output.line(EVIL);
  output.note(EVIL);
  output.record("x", {}, () => EVIL);
  output.warn(EVIL, EVIL);
  output.error(new Error(EVIL));
  output.pairs([["x", EVIL]]);
  output.table([EVIL], [[EVIL]]);
  output.event("x", { [EVIL]: EVIL });
}

for (const [what, tell] of Object.entries({ connects, shares, serves, "writes without care": carelessly })) {
  for (const json of [false, true]) {
    for (const color of [false, true]) {
      const how = `${json ? "JSON" : "text"}, ${color ? "coloured" : "plain"}`;
      Deno.test(`nothing of a stranger steers the terminal of one that ${what} (${how})`, async () => {
        let text = "";
        const sink = (bytes: Uint8Array) => {
          text += new TextDecoder().decode(bytes);
          return Promise.resolve();
        };
        const output = new Output(new Writer({ stdout: sink, stderr: sink }), {
          ...{ json, quiet: false, color, columns: () => 80 },
        });
        tell(output);
        await output.flush();
        assert.ok(text.includes("PWN"), "the strangers were quoted");
        assert.ok(!/^fake/m.test(text), "a line was faked");
        // deno-lint-ignore no-control-regex -- the colours that are ours
        const ours = color ? text.replace(/\x1b\[\d{1,2}m/g, "") : text;
        assert.ok(!STEERING.test(ours), JSON.stringify(STEERING.exec(ours)));
        // Ours paint, but hide nothing. Only a line written without care lets a paint of strangers through.
        if (tell !== carelessly) assert.ok(!text.includes("\x1b[8m"), "a stranger painted");
      });
    }
  }
}
