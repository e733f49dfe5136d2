import assert from "node:assert/strict";
import { Output } from "../cli/output.ts";
import { Writer } from "../cli/writer.ts";
import type { EdgeEvent } from "../../worker/edge/edge.ts";
import { ServiceReport } from "./service_report.ts";

/** The part of a connector that is told. */
const connector = {
  name: "fair-otter-0001",
  fingerprint: "abcd-efgh",
  session: { transport: "h3", remoteAddress: "192.0.2.7:4433" },
} as Extract<EdgeEvent, { event: "connected" }>["connector"];

const EVENTS: EdgeEvent[] = [
  { event: "connected", connector, connectors: 3, lanes: 17 },
  { event: "disconnected", connector, reason: "share-away", connectors: 2, lanes: 5 },
];

async function told(json: boolean): Promise<{ stdout: string; stderr: string }> {
  const text = { stdout: "", stderr: "" };
  const decoder = new TextDecoder();
  const sink = (name: "stdout" | "stderr") => (bytes: Uint8Array) => {
    text[name] += decoder.decode(bytes);
    return Promise.resolve();
  };
  const writer = new Writer({ stdout: sink("stdout"), stderr: sink("stderr") });
  const output = new Output(writer, { json, quiet: false, color: false, columns: () => 80 });
  const report = new ServiceReport(output);
  report.ready();
  for (const event of EVENTS) report.tell(event);
  await output.flush();
  return text;
}

Deno.test("a connecting agent that comes or goes is a short line for people", async () => {
  assert.equal(
    (await told(false)).stdout,
    "  > fair-otter-0001  WebTransport from 192.0.2.7:4433\n  < fair-otter-0001  left\n",
  );
});

Deno.test("and an object with who it was and how many there are for programs", async () => {
  const lines = (await told(true)).stdout.trim().split("\n").map((line) => JSON.parse(line));
  const who = { name: "fair-otter-0001", fingerprint: "abcd-efgh" };
  assert.deepEqual(lines, [
    { event: "connected", ...who, transport: "h3", from: "192.0.2.7:4433", connectors: 3, lanes: 17 },
    { event: "disconnected", ...who, reason: "share-away", connectors: 2, lanes: 5 },
  ]);
});
