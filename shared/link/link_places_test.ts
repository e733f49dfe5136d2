import assert from "node:assert/strict";
import { LINKS_MAX, LINKS_PER_CHANNEL_MAX, LINKS_PER_DEVICE_MAX } from "../limits.ts";
import { type Holder, makeRoom } from "./link_places.ts";

let links = 0;

/** A link in use, of a device, channel and address of its own. */
function link(given: Partial<Holder> = {}): Holder {
  const n = links++;
  const from = `10.0.${n >> 8}.${n & 255}:1`;
  return { channel: `c${n}`, device: `d${n}`, from, unreachableSince: undefined, streams: 1, ...given };
}

const several = (count: number, given: Partial<Holder> = {}) => Array.from({ length: count }, () => link(given));

Deno.test("while there is room, nobody goes", () => {
  assert.deepEqual(makeRoom(several(LINKS_MAX - 1, { unreachableSince: 1 }), link()), []);
});

Deno.test("one channel, and one device, hold no more than their part; their own links that are away make room", () => {
  for (const [key, max] of [["channel", LINKS_PER_CHANNEL_MAX], ["device", LINKS_PER_DEVICE_MAX]] as const) {
    const own = several(max, { [key]: "mine" });
    const others = several(3, { unreachableSince: 1 });
    assert.equal(makeRoom([...own, ...others], link({ [key]: "mine" })), undefined);
    assert.deepEqual(makeRoom([...own, ...others], link()), []);
    const [late, early] = [link({ [key]: "mine", unreachableSince: 9 }), link({ [key]: "mine", unreachableSince: 5 })];
    assert.deepEqual(makeRoom([...own.slice(2), late, early, ...others], link({ [key]: "mine" })), [early]);
  }
});

Deno.test("a link that is in use never goes", () => {
  assert.equal(makeRoom(several(LINKS_MAX, { streams: 0 }), link()), undefined);
});

Deno.test("who holds much is pushed out before who holds little, and a stranger with his part pushes out nobody", () => {
  const stranger = { from: "192.0.2.66:1" };
  const asleep = link({ unreachableSince: 1 });
  const foul = several(LINKS_MAX - 2, stranger);
  // All of his are in use: he has no claim to the place of a laptop that sleeps, whatever device he claims to be.
  const abandoned = link({ ...stranger, unreachableSince: 100 });
  const places = [asleep, abandoned, ...foul];
  assert.equal(makeRoom(places, link({ from: "192.0.2.66:2" })), undefined);
  const own = link({ ...stranger, device: abandoned.device });
  assert.deepEqual(makeRoom(places, own), [abandoned]);
  // Until he has proved who he is, he may be anybody.
  assert.notEqual(makeRoom(places, { channel: "new", from: "192.0.2.66:2" }), undefined);
  // Somebody new takes it from him, though the laptop has been away for longer.
  assert.deepEqual(makeRoom(places, link()), [abandoned]);
  assert.deepEqual(makeRoom(places, link({ from: undefined })), [abandoned]);
});

Deno.test("among equals who has nothing to lose goes, then who is away for longest", () => {
  const used = several(LINKS_MAX - 3);
  const away = [
    link({ unreachableSince: 5 }),
    link({ unreachableSince: 3 }),
    link({ unreachableSince: 9, streams: 0 }),
  ];
  assert.deepEqual(makeRoom([...used, ...away], link()), [away[2]]);
  assert.deepEqual(makeRoom([...used, ...away.slice(0, 2), link()], link()), [away[1]]);
});

Deno.test("who comes back finds a place for himself where his old link has it, at the same address too", () => {
  const used = several(LINKS_MAX - 2);
  const [mine, other] = [link({ unreachableSince: 9 }), link({ unreachableSince: 1, streams: 0 })];
  const { device, from } = mine;
  assert.deepEqual(makeRoom([...used, mine, other], link({ device, from })), [mine]);
  // Of a neighbour's links only one that holds nothing.
  assert.equal(makeRoom([...used, link(), mine], link({ from: mine.from })), undefined);
  assert.deepEqual(makeRoom([...used, mine, other], link({ from: other.from })), [other]);
});
