import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, statfsSync, truncateSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { WebSocket } from "ws";
import { testUnless } from "../tests/support/needs.ts";
import type { Identity } from "../shared/identity.ts";
import { SESSION_HEADER } from "../shared/internal_headers.ts";
import { secureRandom } from "../shared/random.ts";
import { CONTROL_PING, CONTROL_PONG, CONTROL_SUBPROTOCOL } from "../shared/relay/control_socket.ts";
import { dialHandshake } from "../shared/relay/handshake.ts";
import { QMUX_SUBPROTOCOL } from "../shared/transport/qmux/session.ts";
import { connectQmux } from "../shared/transport/qmux/ws.ts";
import { type ControlMessage, decodeControl, encodeControl } from "../shared/wire/control.ts";
import { device, DOMAIN, makeTicket, TestService, type TicketOptions } from "./testing/service.ts";

const TEN_MINUTES_MS = 600_000;

/** A WebSocket to the object of a share, by hand. */
class Knock implements Disposable {
  readonly socket: WebSocket;
  /** What was said, then `closed` with its code; the status when there was no WebSocket. */
  readonly heard: (ControlMessage | string)[] = [];
  readonly over: Promise<void>;

  constructor(service: TestService, path: "control" | "session", name: string, protocol?: string) {
    const usual = path === "control" ? CONTROL_SUBPROTOCOL : QMUX_SUBPROTOCOL;
    this.socket = new WebSocket(`ws://127.0.0.1:${service.port}/.spanway/${path}`, protocol ?? usual, {
      headers: { host: DOMAIN, [SESSION_HEADER]: name },
      perMessageDeflate: false,
    });
    this.socket.on("error", () => {});
    this.socket.on("unexpected-response", (_, { statusCode }) => {
      this.heard.push(`status ${statusCode}`);
      this.socket.terminate();
    });
    this.socket.on("message", (data: Buffer, isBinary: boolean) => {
      if (path === "control") this.heard.push(isBinary ? decodeControl(new Uint8Array(data))! : String(data));
    });
    this.over = new Promise((resolve) =>
      this.socket.on("close", (code) => {
        this.heard.push(`closed ${code}`);
        resolve();
      })
    );
  }

  /** Sends once it is open. */
  async say(data: Uint8Array | string): Promise<this> {
    if (this.socket.readyState === WebSocket.CONNECTING) await once(this.socket, "open");
    this.socket.send(data);
    return this;
  }

  /** The next message. */
  async next(): Promise<ControlMessage | string> {
    const at = this.heard.length;
    while (this.heard.length === at) await Promise.race([once(this.socket, "message"), this.over]);
    return this.heard[at]!;
  }

  [Symbol.dispose](): void {
    this.socket.terminate();
  }
}

async function hello(
  identity: Identity,
  name: string,
  options: TicketOptions = {},
  more: { readonly session?: string; readonly bytes?: Uint8Array } = {},
): Promise<Uint8Array> {
  const text = await makeTicket(identity, options.role ?? "share", name, options);
  const ticket = more.bytes ?? new Uint8Array(Buffer.from(text, "base64url"));
  const { session } = more;
  return encodeControl({
    t: "hello",
    versions: [1],
    role: "share",
    name,
    ticket,
    agent: "test",
    ...(session === undefined ? {} : { session }),
  });
}

/** The code by which a HELLO on a control socket is refused. */
async function refusal(service: TestService, name: string, bytes: Uint8Array): Promise<string> {
  using knock = await new Knock(service, "control", name).say(bytes);
  await knock.over;
  const [answer, closed] = knock.heard;
  assert.ok(typeof answer === "object" && answer.t === "refuse", JSON.stringify(knock.heard));
  assert.match(String(closed), /^closed 10(02|08)$/);
  return answer.code;
}

/** A control socket that was welcomed. */
async function attach(service: TestService, identity: Identity, name: string, session?: string) {
  const knock = await new Knock(service, "control", name).say(
    await hello(identity, name, {}, session === undefined ? {} : { session }),
  );
  const welcome = await knock.next();
  assert.ok(typeof welcome === "object" && welcome.t === "welcome", JSON.stringify(welcome));
  return { knock, welcome };
}

Deno.test("agents at the object of their share, in workerd", async (t) => {
  const service = await TestService.start();
  const alice = await device();
  const mallory = await device();
  const name = "object-demo";
  assert.equal((await service.register(alice, name)).status, 201);
  try {
    await t.step("only a WebSocket of ours, for a share that is registered, gets as far as an object", async () => {
      const status = async (path: "control" | "session", name: string, protocol?: string) => {
        using knock = new Knock(service, path, name, protocol);
        await knock.over;
        return knock.heard[0];
      };
      for (const path of ["control", "session"] as const) {
        assert.equal(await status(path, "nobody-here"), "status 404");
        assert.equal(await status(path, "../etc"), "status 422");
        assert.equal(await status(path, name, "chat"), "status 400");
        assert.equal((await service.call({ path: `/.spanway/${path}` })).status, 426);
        // At the host of a share these are paths like any other.
        assert.equal((await service.visit(name, { path: `/.spanway/${path}` })).json.code, "share-away");
      }
    });

    await t.step("who claims to be an agent without its ticket is told why not", async () => {
      const refused = async (bytes: Uint8Array) => await refusal(service, name, bytes);
      assert.equal(await refused(await hello(alice, name, {}, { bytes: new Uint8Array() })), "ticket-malformed");
      assert.equal(await refused(await hello(alice, name, {}, { bytes: secureRandom(200) })), "ticket-malformed");
      assert.equal(await refused(await hello(mallory, name)), "ticket-foreign");
      assert.equal(await refused(await hello(alice, name, { role: "owner" })), "ticket-foreign");
      assert.equal(await refused(await hello(alice, name, { audience: "https://evil.example" })), "ticket-foreign");
      assert.equal(await refused(await hello(mallory, name, {}, { session: "guessed" })), "ticket-foreign");
      assert.equal(await refused(encodeControl({ t: "bye", code: "bye", message: "" })), "unexpected");
      assert.equal((await service.visit(name)).json.code, "share-away");
    });

    await t.step("clocks that are ten minutes apart are named as the reason", async () => {
      const at = (now: number) => hello(alice, name, { now });
      assert.equal(await refusal(service, name, await at(Date.now() - TEN_MINUTES_MS)), "ticket-expired");
      assert.equal(await refusal(service, name, await at(Date.now() + TEN_MINUTES_MS)), "ticket-not-yet-valid");
    });

    await t.step("a ticket attaches once, a ping is answered, and a goodbye is believed at once", async () => {
      const bytes = await hello(alice, name);
      using knock = await new Knock(service, "control", name).say(bytes);
      const welcome = await knock.next();
      assert.ok(typeof welcome === "object" && welcome.t === "welcome");
      assert.equal(await refusal(service, name, bytes), "ticket-replayed");
      const pong = knock.next();
      await knock.say(CONTROL_PING);
      assert.equal(await pong, CONTROL_PONG);
      await knock.say(encodeControl({ t: "bye", code: "bye", message: "" }));
      await knock.over;
      assert.equal((await service.visit(name)).json.code, "share-away");
    });

    await t.step("a visitor is waited for, and the DIAL's session carries him", async () => {
      const { knock, welcome } = await attach(service, alice, name);
      using _ = knock;
      const visit = service.visit(name);
      const dial = await knock.next();
      assert.deepEqual(dial, { t: "dial", session: welcome.session });
      const session = await connectQmux(`ws://127.0.0.1:${service.port}/.spanway/session`, {
        headers: { host: DOMAIN, [SESSION_HEADER]: name },
        timeoutMs: 5000,
      });
      const ticket = new Uint8Array(Buffer.from(await makeTicket(alice, "share", name), "base64url"));
      await dialHandshake(session, { role: "share", name, ticket, agent: "test", session: welcome.session }, 5000);
      const stream = await session.acceptStream();
      assert.ok(stream !== undefined);
      session.close();
      assert.equal((await visit).status, 502);
    });

    await t.step(
      "the newer agent of the same key wins; the older is told so, and cannot come back by its old attachment",
      async () => {
        const { knock: older, welcome } = await attach(service, alice, name);
        using _older = older;
        const bye = older.next();
        const { knock: newer } = await attach(service, alice, name);
        using _newer = newer;
        const told = await bye;
        assert.deepEqual(typeof told === "object" && "code" in told && [told.t, told.code], ["bye", "share-replaced"]);
        await older.over;
        const again = await hello(alice, name, {}, { session: welcome.session });
        assert.equal(await refusal(service, name, again), "share-replaced");
      },
    );

    await t.step("half a QMux handshake, garbage and silence harm nobody else", async () => {
      const { knock } = await attach(service, alice, name);
      using _ = knock;
      const half = Array.from({ length: 40 }, () => new Knock(service, "session", name));
      for (const [i, other] of half.entries()) {
        if (i % 2 === 0) await other.say(secureRandom(1 + i));
      }
      const visit = service.visit(name);
      assert.deepEqual((await knock.next() as ControlMessage).t, "dial");
      for (const other of half) other[Symbol.dispose]();
      knock.socket.terminate();
      assert.equal((await visit).json.code, "share-away");
    });
  } finally {
    await service.end();
  }
});

/** The SQLite files of the objects of shares, without that of all their alarms. */
function shareFiles(service: TestService): string[] {
  const dir = join(service.dir, "workerd/objects/spanway-share");
  return readdirSync(dir).filter((file) => /^[0-9a-f]{64}\.sqlite/.test(file)).map((file) => join(dir, file));
}

Deno.test("an object whose storage is damaged is an error that says so much, and concerns no other share", async () => {
  const service = await TestService.start();
  try {
    const alice = await device();
    await service.register(alice, "broken-one");
    const files = shareFiles(service);
    await service.register(alice, "whole-one");
    await service.stop();
    for (const file of files) {
      truncateSync(file, 0);
      if (file.endsWith(".sqlite")) writeFileSync(file, secureRandom(8192));
    }
    await service.start();
    const broken = await service.visit("broken-one");
    assert.deepEqual([broken.status, broken.json.code], [500, "internal"]);
    const renewed = await service.register(alice, "broken-one");
    assert.deepEqual([renewed.status, renewed.json.error.code], [500, "internal"]);
    assert.equal((await service.visit("whole-one")).json.code, "share-away");
    assert.equal((await service.register(alice, "whole-one")).status, 200);
    assert.equal((await service.call({ path: "/health" })).text, "ok\n");
  } finally {
    await service.end();
  }
});

const whyNoMount = process.getuid?.() === 0 ? undefined : "mounting needs root";

testUnless(
  whyNoMount,
  "a full disk refuses new shares with an error, forgets none, and is over with the room",
  async () => {
    const service = await TestService.start();
    const alice = await device();
    await service.register(alice, "from-before");
    await service.stop();
    const objects = join(service.dir, "workerd/objects");
    // The state moves onto a small disk.
    execFileSync("cp", ["-a", objects, `${objects}.kept`]);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", objects]);
    try {
      execFileSync("cp", ["-a", `${objects}.kept/.`, objects]);
      await service.start();
      const filler = join(objects, "filler");
      const { bavail, bsize } = statfsSync(objects);
      writeFileSync(filler, Buffer.alloc(bavail * bsize));
      const refused = await service.register(alice, "no-room-left");
      assert.deepEqual([refused.status, refused.json.error.code], [500, "internal"]);
      assert.equal((await service.call({ path: "/health" })).text, "ok\n");
      unlinkSync(filler);
      assert.equal((await service.register(alice, "no-room-left")).status, 201);
      assert.equal((await service.register(alice, "from-before")).status, 200);
    } finally {
      await service.stop();
      execFileSync("umount", ["-l", objects]);
      if (existsSync(`${objects}.kept`)) execFileSync("rm", ["-r", `${objects}.kept`]);
      await service.end();
    }
  },
);
