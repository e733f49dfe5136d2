/** What an edge carries and keeps shows nothing of what goes through a link: neither on its wires nor in its memory. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startConnect } from "../support/connect.ts";
import { LineProgram } from "../support/line_program.ts";
import { LinkNetwork } from "../support/link_network.ts";
import { testUnless, whyNoProgram } from "../support/needs.ts";
import { whyNoNetwork } from "../support/netns.ts";
import { startRelay, startShare } from "../support/spanway.ts";

const missing = whyNoNetwork() ?? whyNoProgram("tcpdump", "curl");

/** A capture of everything in a network namespace, its loopback too. */
class Capture implements AsyncDisposable {
  readonly #dir: string;
  readonly #stop: () => Promise<void>;

  private constructor(stop: () => Promise<void>, dir: string) {
    this.#stop = stop;
    this.#dir = dir;
  }

  static async start(via: readonly string[]): Promise<Capture> {
    const dir = mkdtempSync(join(tmpdir(), "spanway-pcap-"));
    const [program = "", ...words] = [...via, "tcpdump", "-i", "any", "-U", "-s", "0", "-w", join(dir, "all.pcap")];
    // As root: it would give up the right to write into the folder otherwise.
    const child = spawn(program, [...words, "-Z", "root"], { stdio: ["ignore", "ignore", "pipe"] });
    const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    let said = "";
    await new Promise<void>((resolve, reject) => {
      child.stderr.on("data", (chunk) => {
        said += chunk;
        if (/listening on/.test(said)) resolve();
      });
      child.once("exit", () => reject(new Error(`tcpdump ended: ${said}`)));
    });
    return new Capture(async () => {
      child.kill("SIGINT");
      await gone;
    }, dir);
  }

  /** Ends the capture and returns it. */
  async bytes(): Promise<Buffer> {
    await this.#stop();
    return readFileSync(join(this.#dir, "all.pcap"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** How often each text occurs in the memory of a process. */
function inMemory(pid: number, texts: readonly string[]): number[] {
  const counts = texts.map(() => 0);
  const memory = openSync(`/proc/${pid}/mem`, "r");
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, "latin1").split("\n")) {
      const [, from = "0", to = "0"] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? [];
      let at = parseInt(from, 16);
      const end = parseInt(to, 16);
      const step = 4 * 2 ** 20;
      for (; at < end; at += step) {
        // A little more each time, for what lies across.
        const piece = Buffer.alloc(Math.min(step + 64, end - at));
        let n = 0;
        try {
          n = readSync(memory, piece, 0, piece.length, at);
        } catch {
          // Reserved, and not there.
        }
        const found = piece.subarray(0, n);
        texts.forEach((text, i) => counts[i]! += found.includes(text, 0, "latin1") ? 1 : 0);
      }
    }
  } finally {
    closeSync(memory);
  }
  return counts;
}

testUnless(
  missing,
  "a capture at the edge, and the edge's memory, hold nothing of what TCP and UDP carried",
  async () => {
    await using stack = new AsyncDisposableStack();
    const network = stack.use(new LinkNetwork());
    // Without UDP everything travels in plain WebSockets here, which hide nothing by themselves.
    network.blockUdp(true);
    const { domain, relayAddress: address } = network;
    const relay = stack.use(await startRelay({ via: network.at("relay"), address, args: ["--domain", domain] }));
    const capture = stack.use(await Capture.start(network.at("relay")));
    const marker = (what: string) => `${what}-${randomBytes(12).toString("hex")}`;
    const echo = stack.use(await LineProgram.start("echo_server.ts", [], network.at("share")));
    const share = stack.use(
      await startShare(`http://127.0.0.1:${echo.first.http}`, { relay, via: network.at("share") }),
    );
    const args = ["-L", `0:${echo.first.tcp}`, "-L", `0:${echo.first.udp}/udp`];
    const connect = stack.use(await startConnect(share, { relay, via: network.at("connector"), args }));
    assert.equal(connect.ready.transport, "qmux");
    const [tcp, udp] = connect.ports;
    const client = stack.use(await LineProgram.start("echo_client.ts", [], network.at("connector")));
    const [visitor, overTcp, overUdp, overLargeUdp] = [
      marker("visitor"),
      marker("tcp"),
      marker("udp"),
      marker("large"),
    ];
    assert.deepEqual(await client.ask(`tcp ${tcp} ${overTcp} 1000`), { echoed: true });
    assert.deepEqual(await client.ask(`udp ${udp} ${overUdp} 1`), { echoed: true });
    assert.deepEqual(await client.ask(`udp ${udp} ${overLargeUdp} 100`), { echoed: true });
    // What the edge may read, as the proof that such a search finds something.
    const url = `http://${share.host}/${visitor}`;
    assert.deepEqual(await client.ask(`http ${network.relayAddress} ${share.port} ${url}`), { status: 200 });

    const secrets = [overTcp, overUdp, overLargeUdp];
    const counts = inMemory(relay.carrierPid, [share.name, ...secrets]);
    assert.ok(counts[0]! > 0, "the search in memory finds what is there");
    assert.deepEqual(counts.slice(1), [0, 0, 0]);
    const bytes = await capture.bytes();
    assert.ok(bytes.length > 100_000, `${bytes.length} bytes were captured`);
    assert.ok(bytes.includes(visitor), "a visitor's request is seen");
    for (const secret of secrets) assert.ok(!bytes.includes(secret), secret);
  },
);
