import assert from "node:assert/strict";
import { FAILURES_TOLD_BURST, PEER_LINE_MS } from "../../shared/limits.ts";
import { type PeerEvent, Peers, type StreamReport } from "./peers.ts";

function world() {
  const told: string[] = [];
  const streams: StreamReport[] = [];
  const due: { at: number; action: () => void }[] = [];
  const clock = { now: 0 };
  const peers = new Peers(
    {
      peer: ({ state, resumed }: PeerEvent) => void told.push(`${state} ${resumed}`),
      stream: (report: StreamReport) => void streams.push(report),
    },
    () => clock.now,
    (ms, action) => void due.push({ at: clock.now + ms, action }),
  );
  const settings = { resumeWindowMs: 1, agent: "" };
  const peer = { publicKey: new Uint8Array(32), fingerprint: "abc", settings };
  peers.hear({ event: "connected", link: "1", peer, from: undefined });
  const path = (resumed: number) => {
    const path = { transport: "h3", edge: "e", region: "r", rttMs: 5, resumed };
    peers.hear({ event: "path", link: "1", path });
  };
  const wait = (ms: number) => {
    clock.now += ms;
    for (const { action } of due.splice(0).filter(({ at }) => at <= clock.now)) action();
  };
  return { peers, told, streams, due, path, wait };
}

Deno.test("a path that changes without end is told of once a second, as it is then", () => {
  const { told, due, path, wait } = world();
  path(0);
  path(1);
  assert.deepEqual(told, ["connected 0", "resumed 1"]);
  for (let i = 2; i <= 50_000; i++) path(i);
  assert.equal(told.length, 2);
  assert.ok(due.length <= 2, "a timer for each");
  wait(PEER_LINE_MS);
  assert.deepEqual(told.slice(2), ["resumed 50000"]);
});

Deno.test("nothing follows the end", () => {
  const { peers, told, path, wait } = world();
  path(0);
  path(1);
  peers.hear({ event: "reachable", link: "1", reachable: false });
  peers.hear({ event: "over", link: "1", error: new Error("over") as never });
  wait(PEER_LINE_MS);
  assert.deepEqual(told, ["connected 0", "resumed 1", "gone 1"]);
});

Deno.test("connections that come to nothing are all counted, and told of as far as anybody reads", () => {
  const { peers, streams } = world();
  const fail = (bytesIn: number) =>
    peers.hear({
      event: "stream",
      link: "1",
      target: { host: "", port: 1 },
      end: { code: "connection-refused", bytesIn, bytesOut: 0, resumed: 0 },
      startedAt: 0,
    });
  for (let i = 0; i < 5000; i++) fail(0);
  assert.equal(streams.length, FAILURES_TOLD_BURST);
  fail(1);
  assert.equal(streams.length, FAILURES_TOLD_BURST + 1);
});
