import assert from "node:assert/strict";
import { ControlEnd } from "./control_end.ts";
import { encodeLinkMessage, type LinkMessage, LinkMessageDecoder } from "./link_control.ts";

function world() {
  const got: LinkMessage[] = [];
  const sent: LinkMessage[] = [];
  const end = new ControlEnd((message) => void got.push(message));
  const decoder = new LinkMessageDecoder();
  const none = () => {};
  end.start({ data: (bytes) => void sent.push(...decoder.push(bytes)), end: none, drain: none, broken: none });
  return { got, sent, end };
}

Deno.test("messages are taken at once, and heard", () => {
  const { got, end } = world();
  let taken = 0;
  end.write(encodeLinkMessage({ t: "ping", n: 1 }), () => void taken++);
  assert.deepEqual([got, taken], [[{ t: "ping", n: 1 }], 1]);
});

Deno.test("while nothing can be sent, only the newest message of each kind waits", () => {
  const { sent, end } = world();
  end.pause();
  for (let n = 0; n < 100_000; n++) end.send({ t: "pong", n });
  end.send({ t: "mtu", max: 1200 });
  end.send({ t: "mtu", max: 1100 });
  assert.deepEqual(sent, []);
  end.resume();
  assert.deepEqual(sent, [{ t: "pong", n: 99_999 }, { t: "mtu", max: 1100 }]);
  end.resume();
  assert.equal(sent.length, 2);
});

Deno.test("what is held again while it is caught up on stays until the next time", () => {
  const sent: Uint8Array[] = [];
  const end = new ControlEnd(() => {});
  const none = () => {};
  const data = (bytes: Uint8Array) => {
    sent.push(bytes);
    end.pause();
  };
  end.start({ data, end: none, drain: none, broken: none });
  end.pause();
  end.send({ t: "mtu", max: 1 });
  end.send({ t: "pong", n: 1 });
  end.resume();
  assert.equal(sent.length, 1);
  end.resume();
  assert.equal(sent.length, 2);
  end.resume();
  assert.equal(sent.length, 2);
});
