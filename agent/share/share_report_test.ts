import assert from "node:assert/strict";
import { LINK_RESUME_WINDOW_MS, PEERS_REMEMBERED_MAX } from "../../shared/limits.ts";
import { Output } from "../cli/output.ts";
import type { ShareOptions } from "../cli/options.ts";
import { Writer } from "../cli/writer.ts";
import { COMMAND } from "../command_name.ts";
import { parseHostRule } from "../reach/host_rule.ts";
import { parsePorts } from "../reach/port_set.ts";
import type { PeerEvent, StreamReport } from "./peers.ts";
import { ShareReport } from "./share_report.ts";

const FINGERPRINT = "k7qmdaa-3jx2peb-wq5tzcd-efgh2ij";

interface Given {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly relay?: string;
  readonly ports?: string;
  readonly hosts?: readonly string[];
  readonly disableHttp?: boolean;
  readonly targetHost?: string;
}

/** A report that has announced its share, and what it has said since. */
async function announced(given: Given = {}) {
  const text = { stdout: "", stderr: "" };
  const sink = (name: "stdout" | "stderr") => (bytes: Uint8Array) => {
    text[name] += new TextDecoder().decode(bytes);
    return Promise.resolve();
  };
  const { json = false, quiet = false } = given;
  const writer = new Writer({ stdout: sink("stdout"), stderr: sink("stderr") });
  const output = new Output(writer, { json, quiet, color: false, columns: () => 100 });
  const options: Omit<ShareOptions, "target"> = {
    json,
    quiet,
    relay: new URL(given.relay ?? "http://localhost:8080"),
    name: undefined,
    expires: 3_600_000,
    hostHeader: { mode: "rewrite" },
    insecureTarget: false,
    qr: false,
    reach: { ports: parsePorts(given.ports ?? "all"), allowHosts: (given.hosts ?? []).map(parseHostRule) },
    disableHttp: given.disableHttp ?? false,
    resumeWindow: LINK_RESUME_WINDOW_MS,
    ssh: undefined,
    jurisdiction: undefined,
  };
  const report = new ShareReport(output, options, {
    handle: () => assert.fail("no requests"),
    key: "",
    host: given.targetHost,
    label: "http://localhost:3000",
    found: [],
    listening: true,
    close: () => {},
  }, FINGERPRINT);
  const registration = { name: "my-demo", url: "http://my-demo.localhost:8080", expiresAt: Date.now(), edges: [] };
  const edge = { id: "e1", url: "", ws: "", region: "lab", certHashes: [] } as never;
  report.event({ event: "attached", registration, edge, transport: "h3", fallback: undefined, again: false });
  const said = async () => {
    await output.flush();
    const { stdout, stderr } = text;
    text.stdout = text.stderr = "";
    return { stdout, stderr };
  };
  const announcement = await said();
  return { report, said, announcement };
}

const peer = (state: PeerEvent["state"], more: Partial<PeerEvent> = {}): PeerEvent => ({
  state,
  fingerprint: "aaaaaaa-bbbbbbb-ccccccc-ddddddd",
  from: "203.0.113.7:4242",
  transport: "h3",
  edge: "e1",
  region: "lab",
  rttMs: 12.34,
  resumed: 0,
  streams: 0,
  bytesIn: 0,
  bytesOut: 0,
  ...more,
});

const stream = (more: Partial<StreamReport> = {}): StreamReport => ({
  fingerprint: "aaaaaaa-bbbbbbb-ccccccc-ddddddd",
  protocol: "tcp",
  target: { host: "", port: 5432 },
  code: undefined,
  bytesIn: 1234,
  bytesOut: 5_600_000,
  ms: 1234,
  resumed: 0,
  ...more,
});

Deno.test("the announcement says how to connect, and what is reached then", async () => {
  const line = async (given: Given, label: string) => {
    const { announcement } = await announced(given);
    return new RegExp(`^ {2}${label} +(.*)$`, "m").exec(announcement.stdout)?.[1];
  };
  const code = `my-demo#${FINGERPRINT}`;
  assert.equal(await line({}, "Connect"), `${COMMAND} connect ${code}`);
  assert.equal(await line({ relay: "http://localhost:8080/" }, "Connect"), `${COMMAND} connect ${code}`);
  assert.equal(
    await line({ relay: "https://share.example.com" }, "Connect"),
    `${COMMAND} connect ${code} --relay https://share.example.com`,
  );
  assert.equal(await line({ ports: "none" }, "Connect"), undefined);
  const ports = (given: Given) => line(given, "Ports");
  assert.equal(await ports({}), "all of this machine");
  assert.equal(await ports({ targetHost: "localhost" }), "all of this machine");
  assert.equal(await ports({ targetHost: "127.0.0.1" }), "all of this machine");
  assert.equal(await ports({ targetHost: "db.internal" }), "all of db.internal");
  assert.equal(await ports({ ports: "22,80,3000-3010" }), "22, 80, 3000-3010 of this machine");
  assert.equal(await ports({ ports: "none" }), "none (--ports none)");
  assert.equal(await ports({ ports: "none", hosts: ["db:5432"] }), "db:5432 (--allow-host)");
  assert.equal(
    await ports({ ports: "22", hosts: Array.from({ length: 9 }, (_, i) => `10.0.0.${i}`) }),
    "22 of this machine; 10.0.0.0, 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5 and 3 more (--allow-host)",
  );
});

Deno.test("what is said of strangers is true of what they can do", async () => {
  const remark = async (given: Given) => (await announced(given)).announcement.stdout;
  assert.match(await remark({}), /opens here and nowhere else[^]*can connect to these ports/);
  assert.doesNotMatch(await remark({ ports: "none" }), /can connect/);
  assert.doesNotMatch(await remark({ disableHttp: true }), /opens here/);
  assert.match(await remark({ disableHttp: true }), /nobody connects from elsewhere[^]*can connect to these ports/);
  assert.doesNotMatch(await remark({ quiet: true }), /\n\n\n$/);
});

Deno.test("connectors are told of as they come and go, new ones so that they stand out", async () => {
  const { report, said } = await announced();
  const told = async (event: PeerEvent) => {
    report.peer(event);
    return (await said()).stdout.trimEnd();
  };
  assert.equal(
    await told(peer("connected")),
    "  New connector aaaaaaa-bbbbbbb-ccccccc-ddddddd  from 203.0.113.7:4242, QUIC through the relay in lab, 12 ms",
  );
  assert.match(await told(peer("connected", { fingerprint: "eeeeeee-bbbbbbb-ccccccc-ddddddd" })), /^ {2}New connector/);
  assert.match(await told(peer("connected", { from: undefined, transport: undefined })), /^ {2}Connected again \S+$/);
  assert.equal(
    await told(peer("resumed", { resumed: 1, transport: "qmux", rttMs: undefined })),
    "  On a new path aaaaaaa-bbbbbbb-ccccccc-ddddddd  WebSocket through the relay in lab, resumed 1 time",
  );
  assert.match(await told(peer("away")), /Out of reach \S+ {2}its connections are kept$/);
  assert.equal(
    await told(peer("gone", { resumed: 2, streams: 12, bytesIn: 999, bytesOut: 2_500_000 })),
    "  Gone aaaaaaa-bbbbbbb-ccccccc-ddddddd  12 connections, 999 B in, 2.5 MB out, resumed 2 times",
  );
  report.stream(stream());
  report.stream(stream({ target: { host: "db", port: 80 }, code: "reset", resumed: 3 }));
  report.stream(stream({ protocol: "udp", code: "not-allowed", bytesIn: 0, bytesOut: 0 }));
  const lines = (await said()).stdout.trimEnd().split("\n");
  assert.match(lines[0]!, /^ {2}aaaaaaa {2}my-demo:5432 +1\.2 s {2}1\.2 kB in, 5\.6 MB out$/);
  assert.match(lines[1]!, /^ {2}aaaaaaa {2}db:80 +1\.2 s {2}reset {2}1\.2 kB in, 5\.6 MB out {2}resumed 3 times$/);
  assert.match(lines[2]!, /^ {2}aaaaaaa {2}my-demo:5432\/udp +1\.2 s {2}not-allowed$/);
  report.ended("interrupted");
  report.peer(peer("gone"));
  report.stream(stream());
  assert.equal((await said()).stdout, "The share has ended; 0 requests served, 3 connections of 3 connectors.\n");
});

Deno.test("with --json they are events", async () => {
  const { report, said, announcement } = await announced({ json: true, ports: "22" });
  const ready = JSON.parse(announcement.stdout.split("\n")[0]!);
  assert.deepEqual([ready.event, ready.ports, ready.http], ["ready", "22 of this machine", true]);
  report.peer(peer("connected"));
  report.peer(peer("connected"));
  report.peer(peer("gone", { streams: 1 }));
  report.stream(stream({ code: "reset" }));
  report.ended("expired");
  const events = (await said()).stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(events.map(({ event, state, first }) => [event, state, first]), [
    ["peer", "connected", true],
    ["peer", "connected", false],
    ["peer", "gone", undefined],
    ["stream", undefined, undefined],
    ["closed", undefined, undefined],
  ]);
  assert.deepEqual(events[3], {
    event: "stream",
    protocol: "tcp",
    target: "my-demo:5432",
    fingerprint: "aaaaaaa-bbbbbbb-ccccccc-ddddddd",
    code: "reset",
    bytesIn: 1234,
    bytesOut: 5_600_000,
    ms: 1234,
    resumed: 0,
  });
  assert.equal(events[0].from, "203.0.113.7:4242");
  assert.equal(events[0].rttMs, 12.34);
  assert.deepEqual([events[4].connectors, events[4].connections], [2, 1]);
});

Deno.test("--quiet leaves them out, except for programs", async () => {
  const { report, said } = await announced({ quiet: true });
  report.peer(peer("connected"));
  report.stream(stream());
  assert.deepEqual(await said(), { stdout: "", stderr: "" });
  const json = await announced({ quiet: true, json: true });
  json.report.peer(peer("connected"));
  json.report.stream(stream());
  assert.match((await json.said()).stdout, /^\{"event":"peer"[^\n]*\n$/);
});

Deno.test("nothing that a relay or a connector says steers the terminal", async () => {
  const { report, said } = await announced();
  const nasty = "\x1b]0;owned\x07\u202e\n";
  report.peer(peer("connected", { fingerprint: nasty, from: nasty, transport: nasty, region: nasty }));
  report.peer(peer("gone", { fingerprint: nasty }));
  report.stream(stream({ fingerprint: nasty, target: { host: nasty.repeat(20), port: 80 } }));
  const { stdout } = await said();
  // deno-lint-ignore no-control-regex -- control characters are what this is about
  assert.doesNotMatch(stdout, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
  assert.equal(stdout.trimEnd().split("\n").length, 3);
});

Deno.test("the memory of connectors is bounded", async () => {
  const { report, said } = await announced();
  for (let i = 0; i <= PEERS_REMEMBERED_MAX; i++) report.peer(peer("connected", { fingerprint: `peer-${i}` }));
  await said();
  report.peer(peer("connected", { fingerprint: `peer-${PEERS_REMEMBERED_MAX}` }));
  report.peer(peer("connected", { fingerprint: "peer-0" }));
  const lines = (await said()).stdout.trimEnd().split("\n");
  assert.match(lines[0]!, /Connected again/);
  assert.match(lines[1]!, /New connector/);
});
