/** The static IP of a share: every port, and the programs that people use. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findDeno } from "../../agent/bin/runtime.js";
import type { RunningConnect } from "../support/connect.ts";
import { DNS, DnsServer, whyNoDns } from "../support/dns_server.ts";
import { LineProgram } from "../support/line_program.ts";
import { testUnless, whyNoProgram } from "../support/needs.ts";
import { clientOf, Postgres, whyNoPostgres } from "../support/postgres.ts";
import { eventually } from "../support/processes.ts";
import { Sshd, whyNoSshd } from "../support/sshd.ts";
import { TunWorld, whyNoTun } from "../support/tun_world.ts";

const missing = whyNoTun();
let world: TunWorld;
let connect: RunningConnect;
let ip = "";
let ip6 = "";

const program = (name: string) => fileURLToPath(new URL(`../support/programs/${name}`, import.meta.url));
const deno = [findDeno() ?? "deno", "run", "-A", "--quiet"];

if (missing === undefined) {
  Deno.test.beforeAll(async () => {
    world = await TunWorld.start();
    connect = await world.connect(["--tun"]);
    ({ ip, ip6 } = connect.ready as unknown as { ip: string; ip6: string });
  });
  Deno.test.afterAll(async () => {
    await connect?.stop();
    await world?.[Symbol.asyncDispose]();
  });
}

testUnless(missing, "ready says where the share is", () => {
  const { device, hostname } = connect.ready;
  assert.deepEqual([ip, ip6, device, hostname], ["172.16.0.2", "fd00:5350:5741:59::ac10:2", "spanway0", null]);
  return Promise.resolve();
});

testUnless(
  missing,
  "2,000 ports are as they are on the far side: open ones connect, closed ones refuse at once",
  async () => {
    const first = 21_000;
    const open = Array.from({ length: 60 }, (_, index) => first + index * 33 + (index % 7));
    using _server = await LineProgram.start("open_ports.ts", open.map(String), world.network.at("share"));
    const sweep = async (machine: "share" | "connector", host: string) => {
      const { out, err } = await world.run(machine, [...deno, program("sweep.ts"), host, String(first), "2000"]);
      assert.notEqual(out, "", err);
      return JSON.parse(out) as { open: number[]; refused: number; others: Record<string, number> };
    };
    const there = await sweep("share", "127.0.0.1");
    assert.deepEqual(there.open, open);
    for (const host of [ip, ip6]) {
      const { open, refused, others } = await sweep("connector", host);
      assert.deepEqual({ open, refused, others }, { open: there.open, refused: there.refused, others: {} }, host);
    }
  },
);

testUnless(
  missing ?? whyNoProgram("python3"),
  "UDP: open ports answer, closed ones are unreachable, by IPv4 and IPv6",
  async () => {
    const [open, closed] = [[23_001, 23_003, 23_005], [23_002, 23_004, 23_006]].map((ports) => ports.map(String));
    using _server = world.background("share", ["python3", program("udp_echo.py"), ...open!]);
    await eventually("the servers", async () => {
      return (await world.run("share", ["ss", "-Hlun"])).out.includes(":23005 ");
    });
    for (const host of [ip, ip6]) {
      const { out, err } = await world.run(
        "connector",
        ["python3", program("udp_sweep.py"), host, "10", ...open!, ...closed!],
      );
      const found = JSON.parse(out || `"${err}"`);
      assert.deepEqual(found, { answered: open!.map(Number), refused: closed!.map(Number), silent: [] }, host);
    }
  },
);

testUnless(missing ?? whyNoProgram("ping"), "ping goes to the share and back, in both families", async () => {
  for (const [host, ...words] of [[ip], [ip6, "-6"], [ip, "-s", "8000"]]) {
    const { code, out } = await world.run("connector", ["ping", ...words, "-c", "3", "-i", "0.2", "-W", "5", host!]);
    assert.equal(code, 0, out);
    assert.match(out, / 3 received, 0% packet loss/);
  }
});

testUnless(missing, "an unreachable share does not answer pings, and nothing breaks", async () => {
  world.network.cut("share", true);
  const { code } = await world.run("connector", ["ping", "-c", "1", "-W", "1", ip]);
  assert.equal(code, 1);
  world.network.cut("share", false);
  await eventually(
    "an answer",
    async () => (await world.run("connector", ["ping", "-c", "1", "-W", "2", ip])).code === 0,
  );
});

testUnless(missing, "1,000 connections at once, each with content of its own", async () => {
  using _server = await LineProgram.start("open_ports.ts", ["24001"], world.network.at("share"));
  const words = [...deno, program("many_client.ts"), ip, "24001", "1000", "20000"];
  const { out, err } = await world.run("connector", words);
  assert.deepEqual(JSON.parse(out || `"${err}"`), { connected: 1000, failures: {} });
});

testUnless(missing ?? whyNoProgram("curl", "python3"), "curl by address and both families", async () => {
  using _server = world.background("share", ["python3", "-m", "http.server", "24080", "--bind", "127.0.0.1"]);
  await eventually("the page", async () => {
    return (await world.run("connector", ["curl", "-sf", "-o", "/dev/null", `http://${ip}:24080/`])).code === 0;
  });
  const { code } = await world.run("connector", ["curl", "-sf", "-o", "/dev/null", `http://[${ip6}]:24080/`]);
  assert.equal(code, 0);
});

testUnless(missing ?? whyNoPostgres() ?? whyNoProgram("psql"), "psql with a large answer", async () => {
  await using postgres = await Postgres.start(world.network.at("share"));
  const { words, env } = clientOf(postgres.port, "postgres", ip);
  const query = "select sum(length(x)) from (select repeat(md5(i::text), 100) x from generate_series(1, 20000) i) t";
  const { out, err } = await world.run("connector", ["psql", ...words, "-Atc", query], { env });
  assert.equal(out.trim(), String(20_000 * 3200), err);
  const rows = await world.run("connector", [
    "psql",
    ...words,
    "-Atc",
    "select repeat('x', 1000) from generate_series(1, 20000)",
  ], { env });
  assert.equal(rows.out.length, 20_000 * 1001);
});

testUnless(missing ?? whyNoDns(), "dig over UDP and TCP", async () => {
  using server = await DnsServer.start(world.network.at("share"));
  for (const how of ["+notcp", "+tcp"]) {
    const words = ["dig", `@${ip}`, "-p", String(server.port), "+tries=2", "+time=5", "+short", how, DNS.name];
    assert.deepEqual(await world.run("connector", words), { code: 0, out: `${DNS.address}\n`, err: "" });
  }
});

testUnless(missing ?? whyNoSshd(), "ssh, and an edge killed during an scp: the copy is intact", async () => {
  using sshd = await Sshd.start({ via: world.network.at("share") });
  const dir = mkdtempSync(join(tmpdir(), "spanway-scp-"));
  try {
    const { options, port, user } = sshd;
    const said = await world.run("connector", [
      "ssh",
      ...options,
      "-p",
      String(port),
      `${user}@${ip}`,
      "echo hello; exit 5",
    ]);
    assert.deepEqual([said.code, said.out], [5, "hello\n"], said.err);
    const content = randomBytes(64 * 2 ** 20);
    writeFileSync(join(dir, "from"), content);
    // Slow enough that the edge dies in the middle: 16 MB/s.
    const words = [
      "scp",
      ...options,
      "-l",
      "128000",
      "-P",
      String(port),
      join(dir, "from"),
      `${user}@${ip}:${join(dir, "to")}`,
    ];
    const copying = world.run("connector", words);
    await eventually("the first megabytes", () => readFileSync(join(dir, "to")).length > 8 * 2 ** 20);
    await world.relay.kill();
    await world.relay.restart();
    const copied = await copying;
    assert.equal(copied.code, 0, copied.err);
    const hash = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
    assert.equal(hash(readFileSync(join(dir, "to"))), hash(content));
    assert.ok(
      connect.process.events.some(({ event, state, resumed }) =>
        event === "path" && state === "attached" && resumed > 0
      ),
    );
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

testUnless(
  missing ?? whyNoSshd() ?? whyNoProgram("mosh-server", "mosh-client"),
  "mosh: a terminal over UDP",
  async () => {
    using sshd = await Sshd.start({ via: world.network.at("share") });
    const { options, port, user } = sshd;
    const env = { ...Deno.env.toObject(), LC_ALL: "C.UTF-8", TERM: "xterm" };
    const words = [
      ...options,
      "-p",
      String(port),
      `${user}@${ip}`,
      "LC_ALL=C.UTF-8 mosh-server new -i 127.0.0.1 -p 24400:24410 -- sh -c 'echo mosh-$((40+2)); sleep 3'",
    ];
    const { out, err } = await world.run("connector", ["ssh", ...words], { env });
    const [, udpPort, key] = /MOSH CONNECT (\d+) (\S+)/.exec(out) ?? [];
    assert.ok(key, out + err);
    const client = ["script", "-qec", `stty rows 24 cols 80; mosh-client ${ip} ${udpPort}`, "/dev/null"];
    const shown = await world.run("connector", client, { env: { ...env, MOSH_KEY: key } });
    assert.match(shown.out, /mosh-42/);
  },
);
