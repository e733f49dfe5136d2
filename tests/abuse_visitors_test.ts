/** Visitors who mean no good: thousands of slow sockets, readers who stop, too many requests, misleading names and paths. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import net, { type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import { SHARE_REQUESTS_MAX } from "../shared/limits.ts";
import { eventually } from "./support/processes.ts";
import { world } from "./support/shared_world.ts";
import { memoryOf, startShare } from "./support/spanway.ts";
import { refused, Unharmed } from "./support/unharmed.ts";
import { answerTo, open, RawVisitor, visit, within } from "./support/visitor.ts";
import { testUnless } from "./support/needs.ts";
import { withoutEdge, WORKERD_ALONE } from "./support/service.ts";

const ENDLESS_BYTES = 512 * 1024 * 1024;

/** What the origin has sent of its endless answers. */
const it = Object.assign(world(), { poured: 0 });
let unharmed: Unharmed;
/** Requests for /hang that wait for an answer. */
const hanging: (() => void)[] = [];
Deno.test.beforeAll(() => {
  it.origin.server.removeAllListeners("request");
  it.origin.server.on("request", (req, res) => {
    if (req.url === "/hang") return hanging.push(() => res.end("at last"));
    if (req.url !== "/endless") return res.end("hello");
    const piece = new Uint8Array(64 * 1024);
    res.writeHead(200, { "content-length": ENDLESS_BYTES });
    res.on("error", () => {});
    let left = ENDLESS_BYTES;
    const pour = () => {
      for (let more = true; more && left > 0 && !res.destroyed; left -= piece.length) {
        more = res.write(piece);
        it.poured += piece.length;
      }
      if (left === 0) res.end();
    };
    res.on("drain", pour);
    pour();
  });
  unharmed = new Unharmed(it.relay, it.share);
});
Deno.test.afterEach(() => unharmed.check("after the test"));

/** How many files this process may have open. */
function filesAllowed(): number {
  const text = execFileSync("sh", ["-c", "ulimit -n"], { encoding: "utf8" }).trim();
  return text === "unlimited" ? Infinity : Number(text);
}

/** Opens sockets to the edge and sends the same bytes on each. */
async function sockets(count: number, text: string): Promise<Socket[]> {
  const opened: Socket[] = [];
  while (opened.length < count) {
    const batch = Array.from({ length: Math.min(200, count - opened.length) }, () => {
      const socket = net.connect({ host: "127.0.0.1", port: it.relay.port });
      socket.on("error", () => {});
      return socket;
    });
    await within(Promise.all(batch.map((socket) => once(socket, "connect"))), "connections");
    for (const socket of batch) socket.write(text);
    opened.push(...batch);
  }
  return opened;
}

testUnless(
  withoutEdge("how many sockets one visitor may have is for the runtime to say"),
  "5,000 sockets with half a head do not keep others waiting",
  async () => {
    let count = 5000;
    if (filesAllowed() < count + 500) {
      console.log(`only ${filesAllowed()} open files are allowed here: fewer than 5,000 slow sockets`);
      count = filesAllowed() - 500;
    }
    let slow: Socket[] = [];
    const opening = sockets(count, "GET / HTTP/1.1\r\nhost: x.localhost\r\nx-slow: ").then((opened) => slow = opened);
    const whileOpening = await unharmed.visitWhile(opening);
    const drip = setInterval(() => {
      for (const socket of slow) if (socket.writable) socket.write("a");
    }, 500);
    try {
      const whileOpen = await unharmed.visitWhile(new Promise((resolve) => setTimeout(resolve, 3000)));
      assert.ok(whileOpening.slowestMs < 1000 && whileOpen.slowestMs < 1000, JSON.stringify([whileOpening, whileOpen]));
      assert.ok(whileOpen.visits > 20);
      if (count === 5000) await refused(it.relay, "too-many-sockets", 900);
    } finally {
      clearInterval(drip);
      for (const socket of slow) socket.destroy();
    }
  },
);

testUnless(
  withoutEdge("what stalled visitors may hold there is to be bounded"),
  "100 visitors who stop reading a long answer stop nobody else, and cost bounded memory",
  async () => {
    const pids = { edge: it.relay.carrierPid, agent: it.share.process.agentPid };
    const before = { edge: memoryOf(pids.edge), agent: memoryOf(pids.agent) };
    const stuck = await sockets(100, `GET /endless HTTP/1.1\r\nhost: ${it.share.host}\r\n\r\n`);
    try {
      for (const socket of stuck) socket.pause();
      // They fill what lies on the way, ten megabytes for each. Then nothing moves any more.
      let last = -1;
      const still = eventually("a standstill", async () => {
        const poured = it.poured;
        await new Promise((resolve) => setTimeout(resolve, 1000));
        return poured === (last = it.poured) && poured > 0;
      });
      // While half a gigabyte fills every window, how long a visit takes is a matter of the machine: all are answered.
      await unharmed.visitWhile(still);
      assert.ok(last < 100 * 20e6, `${last / 1e6} MB left the origin`);
      const after = await unharmed.visitWhile(new Promise((resolve) => setTimeout(resolve, 1500)));
      assert.ok(after.slowestMs < 1000, JSON.stringify(after));
      // One who does read gets everything meanwhile.
      const read = await new Promise<number>((resolve, reject) => {
        open(it.share, "/endless").on("response", (res) => {
          let bytes = 0;
          res.on("data", (chunk) => bytes += chunk.length).on("end", () => resolve(bytes)).on("error", reject);
        }).on("error", reject).end();
      });
      assert.equal(read, ENDLESS_BYTES);
      // Some 5 MB for each at the edge, 2 MB at the agent, and no more however long they wait and others read.
      for (const [who, most] of [["edge", 900e6], ["agent", 450e6]] as const) {
        const grown = memoryOf(pids[who]) - before[who];
        assert.ok(grown < most, `${who}: ${grown / 1e6} MB more`);
      }
    } finally {
      for (const socket of stuck) socket.destroy();
    }
  },
);

testUnless(
  withoutEdge("some 700 requests at once end the session there, which is to be mended"),
  "more requests at once than a share may have are refused at once",
  async () => {
    const answers = Array.from({ length: SHARE_REQUESTS_MAX }, () => answerTo(open(it.share, "/hang").end()));
    for (const answer of answers) answer.catch(() => {});
    try {
      await eventually("all in flight", () => hanging.length === SHARE_REQUESTS_MAX);
      const startedAt = performance.now();
      const { status, headers } = await visit(it.share, "/");
      assert.deepEqual([status, headers["x-spanway-problem"]], [503, "too-busy"]);
      assert.ok(headers["retry-after"] !== undefined);
      assert.ok(performance.now() - startedAt < 1000);
      await refused(it.relay, "too-busy");
    } finally {
      for (const answer of hanging.splice(0)) answer();
    }
    const all = await within(Promise.all(answers), "the answers");
    assert.ok(all.every(({ status, body }) => status === 200 && body.toString() === "at last"));
  },
);

Deno.test("a Host leads to its own share only, however it is dressed up", async () => {
  const folder = mkdtempSync(join(tmpdir(), "spanway-other-"));
  writeFileSync(join(folder, "index.html"), "the other");
  await using other = await startShare(folder, { relay: it.relay });
  try {
    const port = it.relay.port;
    const raw = async (target: string, host: string, fields = ""): Promise<string> => {
      using visitor = new RawVisitor(port);
      visitor.send(`GET ${target} HTTP/1.1\r\nhost: ${host}\r\n${fields}connection: close\r\n\r\n`);
      // workerd keeps the connection for a while, whatever is asked.
      if (WORKERD_ALONE) await visitor.until(/\r\n\r\n./s);
      else await within(visitor.all(), host);
      return visitor.heard;
    };
    const { name } = other;
    for (const host of [`${name}.localhost`, `${name}.localhost.`, `${name.toUpperCase()}.LOCALHOST:${port}`]) {
      assert.match(await raw("/", host), /the other$/, host);
    }
    const elsewhere = [
      `a.${name}.localhost`,
      `${name}.localhost.evil.example`,
      `${name}.localhost@evil.example`,
      `evil.example#.${name}.localhost`,
      `${name}%2elocalhost`,
      `${name}_.localhost`,
      `.localhost`,
      `localhost.`,
      "evil.example",
      "127.0.0.1",
      "[::1]",
      "x".repeat(300),
    ];
    for (const host of elsewhere) {
      const heard = await raw("/", host);
      // workerd says of some that it is its own fault.
      assert.match(heard, WORKERD_ALONE ? /^HTTP\/1\.1 (200|4\d\d|500) / : /^HTTP\/1\.1 (200|4\d\d) /, host);
      assert.doesNotMatch(heard, /the other|hello/, host);
    }
    // What only the Worker and edges may say is not believed.
    const spoofed = `x-spanway-share: ${name}\r\nx-spanway-edge-key: guess\r\nx-forwarded-host: ${name}.localhost\r\n`;
    assert.match(await raw("/", it.share.host, spoofed), /hello$/);
    assert.doesNotMatch(await raw("/", "evil.example", spoofed), /the other|hello/);
    assert.match(await raw("/.spanway/edge/detach", it.share.host, spoofed), /hello$/);
    // Two requests on one connection go where each of them says; two names in one request go nowhere.
    using visitor = new RawVisitor(port);
    visitor.send(`GET / HTTP/1.1\r\nhost: ${it.share.host}\r\n\r\n`);
    await visitor.until(/hello/);
    visitor.send(`GET / HTTP/1.1\r\nhost: ${other.host}\r\nconnection: close\r\n\r\n`);
    assert.match(await visitor.all(), /hello.*the other$/s);
    assert.match(
      await raw(`http://${other.host}/`, it.share.host),
      WORKERD_ALONE ? /^HTTP\/1\.1 500 / : /^HTTP\/1\.1 400 /,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

testUnless(withoutEdge("a shared folder is the agent's affair"), "no path leads out of a shared folder", async () => {
  const outside = mkdtempSync(join(tmpdir(), "spanway-outside-"));
  const folder = join(outside, "shared");
  mkdirSync(join(folder, "sub"), { recursive: true });
  writeFileSync(join(outside, "secret"), "the secret");
  mkdirSync(`${folder}-sibling`);
  writeFileSync(`${folder}-sibling/secret`, "the secret");
  writeFileSync(join(folder, "index.html"), "the page");
  symlinkSync(join(outside, "secret"), join(folder, "link"));
  symlinkSync(outside, join(folder, "sub", "up"));
  await using share = await startShare(folder, { relay: it.relay });
  try {
    const tricks = [
      "/../secret",
      "/../../../../../../../../etc/passwd",
      "/sub/../../secret",
      "/%2e%2e/secret",
      "/%2e%2e%2fsecret",
      "/..%2fsecret",
      "/..%5csecret",
      "/..\\secret",
      "/sub/%2e%2e/%2e%2e/secret",
      "/%252e%252e/secret",
      "/..%c0%afsecret",
      "/..%00/secret",
      "/index.html%00/../secret",
      "/../shared-sibling/secret",
      "/%2e%2e/shared-sibling/secret",
      "/link",
      "/sub/up/secret",
      "//etc/passwd",
      "///etc/passwd",
      "/%2fetc/passwd",
      "/.//../secret",
      "/C:/secret",
      "/~root/.profile",
      "/...//secret",
      "/;/../secret",
      "file:///etc/passwd",
      `file://${outside}/secret`,
      "../secret",
      "*",
      "/" + "../".repeat(2000) + "etc/passwd",
    ];
    for (const target of tricks) {
      using visitor = new RawVisitor(share.port);
      visitor.send(`GET ${target} HTTP/1.1\r\nhost: ${share.host}\r\nconnection: close\r\n\r\n`);
      const heard = await within(visitor.all(), target);
      assert.match(heard, /^HTTP\/1\.1 \d\d\d /, target);
      assert.doesNotMatch(heard, /the secret|root:/, target);
    }
    assert.equal((await visit(share, "/")).body.toString(), "the page");
  } finally {
    rmSync(outside, { recursive: true });
  }
});
