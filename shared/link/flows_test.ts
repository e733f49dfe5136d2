import assert from "node:assert/strict";
import type { LinkErrorCode } from "../errors.ts";
import { LINK_DATAGRAM_MAX_BYTES, LINK_FLOW_IDLE_MS, LINK_FLOW_RENEW_MS, LINK_FLOWS_MAX } from "../limits.ts";
import type { FlowMessage } from "./datagram.ts";
import type { LinkTarget, Reach } from "./ends.ts";
import { OwnFlows, ServedFlows } from "./flows.ts";

const DNS: LinkTarget = { host: "", port: 53 };
const hi = new TextEncoder().encode("hi");

/** The connecting side alone. */
function own() {
  const world = { now: 0, sent: [] as FlowMessage[], got: 0, closed: [] as (LinkErrorCode | undefined)[] };
  const flows = new OwnFlows((message) => void world.sent.push(message), () => world.now);
  const open = () => flows.open(DNS, () => void world.got++, (code) => void world.closed.push(code));
  return { ...world, world, flows, open };
}

interface Opened {
  readonly target: LinkTarget;
  readonly receive: (payload: Uint8Array) => void;
  readonly closed: (code: LinkErrorCode | undefined) => void;
  sent: number;
  isClosed: boolean;
}

/** The shared side alone; `refuse` does so before the opening has returned. */
function served(refuse?: LinkErrorCode) {
  const world = { now: 0, sent: [] as FlowMessage[], opened: [] as Opened[] };
  const reach: Reach = {
    connect: () => Promise.reject(new Error("no connections here")),
    openFlow: (target, receive, closed) => {
      const flow: Opened = { target, receive, closed, sent: 0, isClosed: false };
      world.opened.push(flow);
      if (refuse !== undefined) closed(refuse);
      return { send: () => void flow.sent++, close: () => void (flow.isClosed = true) };
    },
  };
  const flows = new ServedFlows(reach, (message) => void world.sent.push(message), () => world.now);
  return { world, flows };
}

const data = (flow: number, target?: LinkTarget): FlowMessage => ({
  kind: "data",
  flow,
  payload: hi,
  ...(target === undefined ? {} : { target }),
});

Deno.test("a flow says where it leads until it is answered, and again after a silence", () => {
  const { world, flows, open } = own();
  const flow = open();
  flow.send(hi);
  flow.send(hi);
  flows.receive(data(0));
  flow.send(hi);
  world.now += LINK_FLOW_RENEW_MS;
  flow.send(hi);
  assert.deepEqual(world.sent.map((message) => "target" in message), [true, true, false, true]);
  assert.equal(world.got, 1);
});

Deno.test("a flow that the share has forgotten is named again; one that it refuses is over", () => {
  const { world, flows, open } = own();
  const flow = open();
  flows.receive(data(0));
  flow.send(hi);
  flows.receive({ kind: "closed", flow: 0, code: undefined });
  flow.send(hi);
  assert.deepEqual(world.sent.map((message) => "target" in message), [false, true]);
  flows.receive({ kind: "closed", flow: 0, code: "not-allowed" });
  assert.deepEqual(world.closed, ["not-allowed"]);
  flow.send(hi);
  flow.close();
  assert.equal(world.sent.length, 2);
  assert.equal(flows.size, 0);
});

Deno.test("idle flows end, and are told once; closed ones are not told", () => {
  const { world, flows, open } = own();
  open();
  const busy = open();
  world.now += LINK_FLOW_IDLE_MS;
  busy.send(hi);
  world.now += 1;
  flows.tick();
  assert.deepEqual([world.closed, flows.size], [[undefined], 1]);
  busy.close();
  busy.close();
  flows.end("link-closed");
  assert.deepEqual(world.closed, [undefined]);
  assert.deepEqual(world.sent.filter(({ kind }) => kind === "closed").length, 2);
});

Deno.test("beyond the bound the flow that is idle for longest makes room, on either side", () => {
  const { world, flows, open } = own();
  const first = open();
  for (let i = 1; i < LINK_FLOWS_MAX; i++) open();
  world.now += 1;
  first.send(hi);
  open();
  assert.deepEqual([flows.size, world.closed], [LINK_FLOWS_MAX, ["too-many-streams"]]);
  assert.deepEqual(world.sent.at(-1), { kind: "closed", flow: 1, code: undefined });

  const share = served();
  for (let id = 0; id < LINK_FLOWS_MAX; id++) share.flows.receive(data(id, DNS));
  share.world.now += 1;
  share.flows.receive(data(0));
  share.flows.receive(data(LINK_FLOWS_MAX, DNS));
  assert.equal(share.flows.size, LINK_FLOWS_MAX);
  assert.deepEqual(share.world.opened.flatMap(({ isClosed }, id) => isClosed ? [id] : []), [1]);
});

Deno.test("answers of flows that nobody knows count for nothing", () => {
  const { world, flows } = own();
  flows.receive(data(7));
  flows.receive({ kind: "closed", flow: 7, code: "reset" });
  assert.deepEqual([world.got, world.closed, world.sent], [0, [], []]);
});

Deno.test("the share opens a flow with the first datagram that says where it leads", () => {
  const { world, flows } = served();
  flows.receive(data(3));
  assert.deepEqual(world.sent, [{ kind: "closed", flow: 3, code: undefined }]);
  flows.receive(data(3, DNS));
  flows.receive(data(3));
  assert.deepEqual(world.opened.map(({ target, sent }) => [target, sent]), [[DNS, 2]]);
  world.opened[0]!.receive(hi);
  assert.deepEqual(world.sent.at(-1), data(3));
  flows.receive({ kind: "closed", flow: 3, code: undefined });
  assert.equal(world.opened[0]!.isClosed, true);
  assert.equal(flows.size, 0);
});

Deno.test("a flow that is refused before it is open leaves nothing behind", () => {
  const { world, flows } = served("not-allowed");
  flows.receive(data(3, DNS));
  assert.equal(flows.size, 0);
  assert.deepEqual(world.sent, [{ kind: "closed", flow: 3, code: "not-allowed" }]);
});

Deno.test("a flow that was closed says nothing in the name of the next with its number", () => {
  const { world, flows } = served();
  flows.receive(data(3, DNS));
  flows.receive({ kind: "closed", flow: 3, code: undefined });
  flows.receive(data(3, DNS));
  const before = world.sent.length;
  world.opened[0]!.receive(hi);
  world.opened[0]!.closed("connection-refused");
  assert.deepEqual([world.sent.length, flows.size], [before, 1]);
  world.opened[1]!.closed("connection-refused");
  assert.deepEqual(world.sent.at(-1), { kind: "closed", flow: 3, code: "connection-refused" });
});

Deno.test("the share's idle flows end, and all of them with the link", () => {
  const { world, flows } = served();
  flows.receive(data(1, DNS));
  world.now += LINK_FLOW_IDLE_MS;
  flows.receive(data(2, DNS));
  world.now += 1;
  flows.tick();
  assert.deepEqual(world.opened.map(({ isClosed }) => isClosed), [true, false]);
  flows.end();
  assert.equal(world.opened[1]!.isClosed, true);
  assert.equal(flows.size, 0);
});

Deno.test("what no datagram can carry is dropped, on either side", () => {
  const large = new Uint8Array(LINK_DATAGRAM_MAX_BYTES + 1);
  const { world, open } = own();
  open().send(large);
  assert.deepEqual(world.sent, []);
  const share = served();
  share.flows.receive(data(1, DNS));
  share.world.opened[0]!.receive(large);
  assert.deepEqual(share.world.sent, []);
});
