/** Which address a share has, who carries it, by which name it is known, and what is left when it ends. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startTcpShare } from "../support/connect_world.ts";
import type { RunningConnect } from "../support/connect.ts";
import { LineProgram } from "../support/line_program.ts";
import { testUnless } from "../support/needs.ts";
import { allGone, eventually, kill } from "../support/processes.ts";
import { descendantsOf, PATIENCE_MS } from "../support/spanway.ts";
import { NOBODY, nobodysHome, TunWorld, whyNotInside, whyNoTun } from "../support/tun_world.ts";

const missing = whyNoTun();
let world: TunWorld;
let server: LineProgram;

if (missing === undefined) {
  Deno.test.beforeAll(async () => {
    world = await TunWorld.start();
    server = await LineProgram.start("open_ports.ts", ["25001"], world.network.at("share"));
  });
  Deno.test.afterAll(async () => {
    server?.[Symbol.dispose]();
    await world?.[Symbol.asyncDispose]();
  });
}

const answers = (ip: string) => world.answers(ip, 25_001);

/** A home for several commands, in which the share is known already. */
function ownHome(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "spanway-home-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

testUnless(missing, "who asks for nothing gets the best that is possible", async () => {
  await using best = await world.connect([], { best: true });
  assert.deepEqual([best.ready.ip, best.ready.device], ["172.16.0.2", "spanway0"]);
  const told = /SOCKS address .*\n.*Machine IP +172\.16\.0\.2/;
  await eventually("people are told", () => told.test(best.process.errors));
  for (const args of [["--map"], ["-L", "0:25001"], ["--no-tun"]]) {
    await using other = await world.connect(args, { best: true });
    assert.equal(other.ready.device, null, args.join(" "));
  }
});

testUnless(
  whyNotInside(),
  "who asks for nothing and has no rights gets mirrored ports, without a word of complaint",
  async () => {
    using home = nobodysHome();
    const via = [...world.network.at("connector"), ...NOBODY];
    await using connect = await world.connect([], { best: true, via, home: home.path });
    assert.match(connect.ready.ip, /^127\.77\./);
    assert.doesNotMatch(connect.process.errors, /CAP_NET_ADMIN|error/);
  },
);

testUnless(
  whyNotInside(),
  "without rights --tun mirrors the ports, and says what is missing and how to get it",
  async () => {
    using home = nobodysHome();
    const via = [...world.network.at("connector"), ...NOBODY];
    await using connect = await world.connect(["--tun"], { via, home: home.path });
    assert.match(connect.ready.ip, /^127\.77\./);
    assert.equal(connect.ready.device, null);
    assert.match(connect.process.errors, /CAP_NET_ADMIN.*\n.*setup-tun/);
  },
);

testUnless(missing, "two shares have addresses of their own, and keep them", async () => {
  await using share = await startTcpShare(world.relay, [], world.network.at("share"));
  using home = ownHome();
  const ips: string[] = [];
  for (let round = 0; round < 2; round++) {
    await using first = await world.connect(["--tun"], { home: home.path });
    await using second = await world.connect(["--tun"], { share, home: home.path });
    ips.push(first.ready.ip, second.ready.ip);
    assert.ok(await answers(first.ready.ip) && await answers(second.ready.ip));
    if (round === 0) {
      // In the other order, they still have the same.
      await first.stop();
      await second.stop();
      await using again = await world.connect(["--tun"], { share, home: home.path });
      assert.equal(again.ready.ip, second.ready.ip);
    }
  }
  assert.deepEqual(ips, ["172.16.0.2", "172.16.0.3", "172.16.0.2", "172.16.0.3"]);
});

testUnless(missing, "connecting twice to a share is one address, which outlives the first connection", async () => {
  using home = ownHome();
  await using first = await world.connect(["--tun"], { home: home.path });
  await using second = await world.connect(["--tun"], { home: home.path });
  assert.deepEqual([second.ready.ip, second.ready.ip6], [first.ready.ip, first.ready.ip6]);
  assert.equal(second.ready.device, null);
  assert.equal((await world.left()).match(/spanway\d+:/g)?.length, 1);
  kill(first.process.agentPid, "SIGKILL");
  await first.process.exited;
  const { ip, device } = await second.process.event("address");
  assert.deepEqual([ip, device], [first.ready.ip, "spanway0"]);
  assert.ok(await answers(ip));
  await second.stop();
  assert.equal(await world.left(), "");
});

testUnless(missing, "an address of the person's own, and one that is taken", async () => {
  await using connect = await world.connect(["--ip", "10.55.0.7"]);
  assert.equal(connect.ready.ip, "10.55.0.7");
  assert.ok(await answers("10.55.0.7"));
  for (const ip of ["10.78.1.9", "10.55.0.7"]) {
    await using other = world.spawnConnect(["--ip", ip]);
    assert.equal(await other.exited, 1);
    assert.match(other.errors, new RegExp(`${ip.replaceAll(".", "\\.")} is in use.*\\n.*--ip`));
  }
});

testUnless(missing, "a range that the host uses is left alone", async () => {
  const cable = ["ip", "link", "add", "lan0", "type", "veth", "peer", "name", "lan1"];
  await world.run("connector", cable);
  await world.run("connector", ["ip", "addr", "add", "172.16.0.5/24", "dev", "lan0"]);
  for (const end of ["lan0", "lan1"]) await world.run("connector", ["ip", "link", "set", end, "up"]);
  try {
    await using connect = await world.connect(["--tun"]);
    assert.equal(connect.ready.ip, "10.213.77.2");
    assert.ok(await answers(connect.ready.ip));
  } finally {
    await world.run("connector", ["ip", "link", "del", "lan0"]);
  }
});

testUnless(missing, "--hosts: the name is known, and unknown again after each way of ending", async () => {
  const { out: before } = await world.run("connector", ["cat", "/etc/hosts"]);
  const ends: Record<string, (connect: RunningConnect) => void> = {
    "SIGINT": ({ process }) => process.signal("SIGINT"),
    "SIGTERM": ({ process }) => process.signal("SIGTERM"),
    "kill -9 of the agent": ({ process }) => kill(process.agentPid, "SIGKILL"),
    "kill -9 of the launcher": ({ process }) => process.signal("SIGKILL"),
    "kill -9 of both": ({ process }) => {
      const { agentPid } = process;
      process.signal("SIGKILL");
      kill(agentPid, "SIGKILL");
    },
  };
  for (const [how, end] of Object.entries(ends)) {
    await using connect = await world.connect(["--hosts"]);
    const { hostname, ip } = connect.ready;
    assert.equal(hostname, `${world.share.name}.spanway`);
    const found = await world.run("connector", ["getent", "ahostsv4", hostname]);
    assert.ok(found.out.startsWith(ip), found.out);
    const pids = [...descendantsOf(connect.process.pid).map(({ pid }) => pid), connect.process.pid];
    end(connect);
    await connect.process.exited;
    await allGone(pids, PATIENCE_MS);
    await eventually(`nothing is left after ${how}`, async () => await world.left() === "");
    assert.equal((await world.run("connector", ["cat", "/etc/hosts"])).out, before, how);
  }
});

testUnless(
  whyNotInside(),
  "setup-tun: a device that an administrator made serves somebody without rights",
  async () => {
    using home = nobodysHome();
    const launcher = new URL("../../agent/bin/spanway.js", import.meta.url).pathname;
    const env = { ...Deno.env.toObject(), SPANWAY_HOME: home.path, NO_COLOR: "1" };
    const setup = (via: readonly string[], ...words: string[]) =>
      world.run("connector", [...via, "node", launcher, "setup-tun", ...words], { env });
    const printed = await setup(NOBODY);
    assert.match(printed.out, /sudo .*setup-tun --user nobody/);
    assert.equal(await world.left(), "", "printing it changes nothing");
    const done = await setup([], "--user", "nobody", "--ip", "172.16.0.9", "--json");
    assert.deepEqual(JSON.parse(done.out).ip, "172.16.0.9", done.err);
    const via = [...world.network.at("connector"), ...NOBODY];
    {
      await using connect = await world.connect(["--tun"], { via, home: home.path });
      assert.deepEqual([connect.ready.ip, connect.ready.device], ["172.16.0.9", "spanway0"]);
      assert.ok(await answers("172.16.0.9"));
      // One process has it; the next of another share finds none.
      await using share = await startTcpShare(world.relay, [], world.network.at("share"));
      await using busy = await world.connect(["--tun"], { share, via, home: home.path });
      assert.match(busy.ready.ip, /^127\.77\./);
      assert.match(busy.process.errors, /uses the device spanway0.*\n.*setup-tun/);
    }
    await setup([], "--user", "nobody", "--remove");
    assert.equal(await world.left(), "");
  },
);
