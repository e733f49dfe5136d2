/** PostgreSQL through `-L`: questions, and copies of whole databases. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { connectWorld } from "../support/connect_world.ts";
import { testUnless, whyNoProgram, whyNotLong } from "../support/needs.ts";
import { clientOf, Postgres, whyNoPostgres } from "../support/postgres.ts";

const w = connectWorld();
const missing = whyNoPostgres() ?? whyNoProgram("psql", "pg_dump");

function psql(port: number, sql: string): Promise<string> {
  const { words, env } = clientOf(port);
  return new Promise((resolve, reject) => {
    const args = [...words, "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql];
    execFile("psql", args, { env, maxBuffer: 2 ** 26 }, (error, out, err) => {
      if (error === null) resolve(out.trim());
      else reject(new Error(err));
    });
  });
}

/** Digest and size of a dump. Some versions write a random word around the data, which is left out. */
function dump(port: number): Promise<{ digest: string; bytes: number }> {
  const { words, env } = clientOf(port);
  const child = spawn("pg_dump", words, { env, stdio: ["ignore", "pipe", "inherit"] });
  const hash = createHash("sha256");
  let bytes = 0;
  let rest = "";
  child.stdout.setEncoding("latin1");
  child.stdout.on("data", (text: string) => {
    bytes += text.length;
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) if (!/^\\(un)?restrict /.test(line)) hash.update(`${line}\n`, "latin1");
  });
  return new Promise((resolve, reject) => {
    child.on("close", (code) => {
      if (code === 0) resolve({ digest: hash.update(rest).digest("hex"), bytes });
      else reject(new Error(`pg_dump ended with ${code}`));
    });
  });
}

/** Text that packs badly, a kilobyte a row. */
const fill = (rows: number) => `
  create table copied as select i as id, (
    select string_agg(md5(i::text || j::text), '') from generate_series(1, 32) j
  ) as text from generate_series(1, ${rows}) i`;

testUnless(missing, "psql asks, writes, listens, and copies in and out", async () => {
  await using server = await Postgres.start();
  await using connect = await w.connect(["-L", `0:${server.port}`]);
  const port = connect.ports[0]!;
  assert.equal(await psql(port, "select 6 * 7"), "42");
  await psql(port, fill(20_000));
  const sum = "select md5(string_agg(text, '' order by id)) from copied";
  assert.equal(await psql(port, sum), await psql(server.port, sum));
  await assert.rejects(psql(port, "select no_such_column"), /no_such_column/);
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => psql(port, `select pg_sleep(0.1), ${i}`)));
  assert.deepEqual(answers, Array.from({ length: 20 }, (_, i) => `|${i}`));
});

testUnless(missing, "pg_dump through the link is the dump that it is without", async () => {
  await using server = await Postgres.start();
  await using connect = await w.connect(["-L", `0:${server.port}`]);
  await psql(server.port, fill(60_000));
  const [near, far] = [await dump(connect.ports[0]!), await dump(server.port)];
  assert.ok(near.bytes > 60_000_000);
  assert.deepEqual(near, far);
});

testUnless(missing ?? whyNotLong(), "pg_dump of 2 GB", async () => {
  await using server = await Postgres.start();
  await using connect = await w.connect(["-L", `0:${server.port}`]);
  await psql(server.port, fill(2_000_000));
  const from = performance.now();
  const near = await dump(connect.ports[0]!);
  const seconds = (performance.now() - from) / 1000;
  assert.ok(near.bytes > 2e9, `${near.bytes} bytes`);
  console.log(`pg_dump of ${(near.bytes / 1e9).toFixed(2)} GB in ${seconds.toFixed(0)} s`);
  assert.deepEqual(near, await dump(server.port));
});
