/** What may stand in the way of a static IP, and what local programs may send to it. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { RunningConnect } from "../support/connect.ts";
import { LineProgram } from "../support/line_program.ts";
import { testUnless, whyNoProgram } from "../support/needs.ts";
import { eventually } from "../support/processes.ts";
import { memoryOf } from "../support/spanway.ts";
import { TunWorld, whyNoTun } from "../support/tun_world.ts";

const missing = whyNoTun() ?? whyNoProgram("python3");
const FLOOD = fileURLToPath(new URL("../support/programs/flood.py", import.meta.url));
const MiB = 2 ** 20;
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

/** Sends much of a kind; the share must be there afterwards, and the memory what it was. */
async function flood(connect: RunningConnect, kind: string, count: number, mostMiB: number): Promise<void> {
  const { ip } = connect.ready;
  const before = memoryOf(connect.process.agentPid);
  const { code, err } = await world.run("connector", ["python3", FLOOD, kind, ip, "172.16.0.1", String(count)]);
  assert.equal(code, 0, err);
  await eventually(`the share answers after ${kind}`, () => answers(ip), 40_000);
  const grown = (memoryOf(connect.process.agentPid) - before) / MiB;
  assert.ok(grown < mostMiB, `${kind}: ${Math.round(grown)} MiB more`);
}

testUnless(missing, "malformed, fragmented, oversized and spoofed packets are dropped", async () => {
  await using connect = await world.connect(["--tun"]);
  for (const kind of ["garbage", "fragments", "spoofed", "lies"]) await flood(connect, kind, 5000, 100);
});

testUnless(missing, "a flood of SYNs from a local program costs bounded memory, and ends", async () => {
  await using connect = await world.connect(["--tun"]);
  await flood(connect, "syns", 50_000, 250);
});

testUnless(missing, "50,000 UDP flows cost bounded memory on both sides", async () => {
  await using connect = await world.connect(["--tun"]);
  const share = memoryOf(world.share.process.agentPid);
  await flood(connect, "flows", 50_000, 250);
  const grown = (memoryOf(world.share.process.agentPid) - share) / MiB;
  assert.ok(grown < 400, `${Math.round(grown)} MiB more at the share`);
});

testUnless(missing, "a firewall that drops what comes in: the message names the rule, and the rule helps", async () => {
  const nft = (rule: string) => world.run("connector", ["nft", rule]);
  await nft("add table inet fw");
  await nft("add chain inet fw input { type filter hook input priority 0 ; policy drop ; }");
  await nft('add rule inet fw input iifname { "lo", "eth0" } accept');
  try {
    {
      await using connect = await world.connect(["--tun"]);
      assert.match(connect.ready.ip, /^127\.77\./);
      assert.match(connect.process.errors, /firewall.*spanway0/);
      assert.match(connect.process.errors, /iifname "spanway\*" accept/);
      assert.ok(!(await world.left()).includes("spanway0"));
    }
    await nft('add rule inet fw input iifname "spanway*" accept');
    await using connect = await world.connect(["--tun"]);
    assert.equal(connect.ready.ip, "172.16.0.2");
    assert.ok(await answers("172.16.0.2"));
  } finally {
    await nft("delete table inet fw");
  }
});

testUnless(missing, "without /dev/net/tun, and without the right to it, the ports are mirrored", async () => {
  const hide = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$@"', "sh"];
  await using none = await world.connect(["--tun"], { via: [...world.network.at("connector"), ...hide] });
  assert.match(none.ready.ip, /^127\.77\./);
  assert.match(none.process.errors, /no \/dev\/net\/tun.*\n.*modprobe tun/);
  const drop = ["setpriv", "--bounding-set=-net_admin", "--"];
  await using refused = await world.connect(["--tun"], { via: [...world.network.at("connector"), ...drop] });
  assert.match(refused.ready.ip, /^127\.77\./);
  assert.match(refused.process.errors, /CAP_NET_ADMIN/);
});

testUnless(missing, "another program's listener on our port does not confuse anybody", async () => {
  await using _connect = await world.connect(["--tun"]);
  // Strangers at our listener are turned away: they come from this machine, not from the share.
  const { out } = await world.run("connector", ["ss", "-Hltn", "src", "172.16.0.1"]);
  const port = /172\.16\.0\.1:(\d+)/.exec(out)?.[1];
  assert.ok(port, out);
  const said = await world.run("connector", ["bash", "-c", `exec 3<>/dev/tcp/172.16.0.1/${port}; head -1 <&3`]);
  assert.deepEqual([said.out, said.err.includes("reset by peer")], ["", true], said.err);
  // The share's port of the same number is another one.
  using _same = await LineProgram.start("open_ports.ts", [port], world.network.at("share"));
  const same = await world.run("connector", [
    "bash",
    "-c",
    `exec 3<>/dev/tcp/172.16.0.2/${port}; echo hi >&3; head -1 <&3`,
  ]);
  assert.equal(same.out, "hi\n", same.err);
});

testUnless(
  missing,
  "a device that an administrator takes away is told, and the connection goes on without it",
  async () => {
    await using connect = await world.connect(["--tun", "-L", "0:25001"]);
    await world.run("connector", ["ip", "link", "set", "spanway0", "down"]);
    await world.run("connector", ["ip", "link", "set", "spanway0", "up"]);
    await world.run("connector", ["ip", "link", "del", "spanway0"]);
    assert.equal((await connect.process.event("address")).ip, null);
    assert.match(connect.process.errors, /changed the device spanway0/);
    const forward = `exec 3<>/dev/tcp/127.0.0.1/${connect.ports[0]}; echo hi >&3; head -1 <&3`;
    assert.equal((await world.run("connector", ["bash", "-c", forward])).out, "hi\n");
  },
);

testUnless(missing, "a port that the far side's firewall swallows holds up no other", async () => {
  await world.run("share", ["nft", "add table inet fw"]);
  await world.run("share", ["nft", "add chain inet fw input { type filter hook input priority 0 ; }"]);
  await world.run("share", ["nft", "add rule inet fw input tcp dport 20009 drop"]);
  try {
    await using connect = await world.connect(["--tun"]);
    using _scan = world.background("connector", ["python3", FLOOD, "hang", connect.ready.ip, "20009", "600"]);
    await eventually("the scan", async () => {
      return (await world.run("connector", ["ss", "-Htn", "state", "syn-sent"])).out.split("\n").length > 500;
    });
    assert.ok(await answers(connect.ready.ip));
  } finally {
    await world.run("share", ["nft", "delete table inet fw"]);
  }
});

testUnless(missing, "more connections than a link carries are reset, and it is said", async () => {
  await using connect = await world.connect(["--tun"]);
  const words = ["python3", FLOOD, "open", connect.ready.ip, "25001", "1100"];
  const { out, err } = await world.run("connector", words);
  assert.deepEqual(JSON.parse(out || `"${err}"`), { connected: 1024, refused: 76 });
  await eventually("the warning", () => /as many connections as a link carries/.test(connect.process.errors));
});
