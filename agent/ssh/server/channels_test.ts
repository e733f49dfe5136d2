import assert from "node:assert/strict";
import { SSH_CHANNELS_MAX, SSH_PROGRAMS_MAX } from "../../../shared/limits.ts";
import { Channels, type OpenChannel } from "./channels.ts";

function fill(channels: Channels, kind: "program" | "forward"): OpenChannel[] {
  const opened: OpenChannel[] = [];
  for (let next = channels.open(kind); next !== undefined; next = channels.open(kind)) opened.push(next);
  return opened;
}

Deno.test("programs have a bound of their own, within that of all channels", () => {
  const channels = new Channels();
  assert.equal(fill(channels, "program").length, SSH_PROGRAMS_MAX);
  assert.equal(fill(channels, "forward").length, SSH_CHANNELS_MAX - SSH_PROGRAMS_MAX);
});

Deno.test("who is over makes room once, and knows it", () => {
  const channels = new Channels();
  const [first, second] = fill(channels, "program");
  first!.over();
  first!.over();
  assert.deepEqual([first!.gone.aborted, second!.gone.aborted], [true, false]);
  assert.equal(fill(channels, "program").length, 1);
});

Deno.test("with the connection all channels are over, and none is opened", () => {
  const channels = new Channels();
  const opened = [...fill(channels, "program"), ...fill(channels, "forward")];
  channels.close();
  assert.ok(opened.every(({ gone }) => gone.aborted));
  assert.equal(channels.open("forward"), undefined);
});

Deno.test("one channel whose input piles up is an overrun", () => {
  const channels = new Channels();
  const [, second] = fill(channels, "forward");
  second!.reader = { readableLength: 10 };
  assert.deepEqual([channels.overrun(9), channels.overrun(10)], [true, false]);
  second!.over();
  assert.ok(!channels.overrun(9));
});
