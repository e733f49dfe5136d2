import assert from "node:assert/strict";
import type { Tunnel } from "../../shared/link/ends.ts";
import { countedFlow, type FlowEnd } from "./counted_flow.ts";

const target = { host: "", port: 53 };

/** A flow whose far side the test plays. */
function opened() {
  const ends: FlowEnd[] = [];
  const told: unknown[] = [];
  let far: { receive(payload: Uint8Array): void; closed: Parameters<Tunnel["openFlow"]>[2] } | undefined;
  const flow = countedFlow(
    (_, receive, closed) => {
      far = { receive, closed };
      return { send: (payload) => void told.push(payload.length), close: () => void told.push("close") };
    },
    [target, (payload) => void told.push(-payload.length), (code) => void told.push(code)],
    (end) => void ends.push(end),
  );
  return { flow, far: far!, ends, told };
}

Deno.test("bytes of a flow are counted both ways, and its end is told once", () => {
  const { flow, far, ends, told } = opened();
  flow.send(new Uint8Array(3));
  far.receive(new Uint8Array(5));
  flow.send(new Uint8Array(4));
  flow.close();
  flow.close();
  assert.deepEqual(ends, [{ code: undefined, sentBytes: 7, receivedBytes: 5 }]);
  assert.deepEqual(told, [3, -5, 4, "close", "close"]);
});

Deno.test("a flow that is refused says why", () => {
  const { far, ends, told } = opened();
  far.closed("not-allowed");
  assert.deepEqual(ends, [{ code: "not-allowed", sentBytes: 0, receivedBytes: 0 }]);
  assert.deepEqual(told, ["not-allowed"]);
});
