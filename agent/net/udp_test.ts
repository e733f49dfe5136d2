import assert from "node:assert/strict";
import { LINK_DATAGRAM_MAX_BYTES } from "../../shared/limits.ts";
import { ListenError } from "../errors.ts";
import { bytes, text } from "./testing/sockets.ts";
import { bindUdp, type UdpPeer, type UdpReceiver } from "./udp.ts";
import { bind as bindOnDgram } from "./udp_node.ts";

const bindNode = (at: { host: string; port: number }, receive: UdpReceiver) =>
  bindOnDgram(at, at.host.includes(":"), receive);
const any = (host = "127.0.0.1") => ({ host, port: 0 });

/** A socket whose datagrams can be waited for. */
async function inbox(host?: string, bind = bindUdp) {
  const got: { payload: Uint8Array; from: UdpPeer }[] = [];
  let wake = (): void => {};
  const socket = await bind(any(host), (payload, from) => {
    got.push({ payload, from });
    wake();
  });
  const next = async () => {
    while (got.length === 0) await new Promise<void>((resolve) => wake = resolve);
    return got.shift()!;
  };
  return { socket, got, next };
}

for (const [runtime, bind] of [["this runtime", bindUdp], ["node:dgram", bindNode]] as const) {
  Deno.test(`datagrams of every size arrive whole, with their sender (${runtime})`, async () => {
    for (const host of ["127.0.0.1", "::1"]) {
      const [a, b] = [await inbox(host, bind), await inbox(host, bind)];
      assert.equal(a.socket.address.host, host);
      for (const size of [0, 1, 1200, 9000, LINK_DATAGRAM_MAX_BYTES + (host === "::1" ? 20 : 0)]) {
        const sent = Uint8Array.from({ length: size }, (_, index) => index * 7);
        a.socket.send(sent, b.socket.address);
        const { payload, from } = await b.next();
        assert.deepEqual([...payload], [...sent], `${size} bytes`);
        assert.deepEqual(from, a.socket.address);
      }
      a.socket.close();
      b.socket.close();
    }
  });

  Deno.test(`what cannot be sent is dropped, and the socket goes on (${runtime})`, async () => {
    const [a, b] = [await inbox(undefined, bind), await inbox(undefined, bind)];
    a.socket.send(new Uint8Array(LINK_DATAGRAM_MAX_BYTES + 1), b.socket.address);
    a.socket.send(bytes("x"), { host: "127.0.0.1", port: 0 });
    a.socket.send(bytes("x"), { host: "::1", port: 9 });
    a.socket.send(bytes("x"), { host: "127.0.0.1", port: 9 });
    a.socket.send(bytes("good"), b.socket.address);
    assert.equal(text((await b.next()).payload), "good");
    a.socket.close();
    a.socket.close();
    a.socket.send(bytes("late"), b.socket.address);
    b.socket.close();
  });
}

Deno.test("the payload is the receiver's: later datagrams do not change it", async () => {
  const [a, b] = [await inbox(), await inbox()];
  for (const word of ["one", "two", "three"]) a.socket.send(bytes(word), b.socket.address);
  const words = [await b.next(), await b.next(), await b.next()].map(({ payload }) => text(payload));
  assert.deepEqual(words, ["one", "two", "three"]);
  a.socket.close();
  b.socket.close();
});

Deno.test("addresses that cannot be bound are told with their reason", async () => {
  const taken = await inbox();
  const cases = [
    [taken.socket.address, "address-in-use"],
    [{ host: "203.0.113.7", port: 0 }, "address-unavailable"],
    [{ host: "no-such-host.invalid", port: 0 }, "address-unavailable"],
  ] as const;
  for (const [at, code] of cases) {
    await assert.rejects(bindUdp(at, () => {}), (error) => error instanceof ListenError && error.code === code);
  }
  taken.socket.close();
});
