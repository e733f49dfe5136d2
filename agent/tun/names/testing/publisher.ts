/** Publishes a name through systemd-resolved in resolved_world.sh, and says what programs find. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { publishName } from "../publish_name.ts";

const run = promisify(execFile);
const [resolvectl, then] = Deno.args as [string, string];
const published = await publishName({
  name: "otter1",
  ip: "172.16.0.2",
  ip6: "fd00:5350:5741:59::ac10:2",
  device: "spanway0",
  own: "172.16.0.1",
  hosts: false,
  programs: { sh: "/bin/sh", resolvectl },
});
console.log(`how ${published.how}`);
if (then === "hold") setInterval(() => {}, 1000);
else {
  console.log(`a ${await find("ahostsv4", "otter1.spanway")}`);
  console.log(`aaaa ${await find("ahostsv6", "www.otter1.spanway")}`);
  const { stdout } = await run("dig", ["@127.0.0.53", "+tries=1", "+time=3", "other.spanway"]);
  console.log(`other ${/status: (\w+)/.exec(stdout)?.[1]}`);
  await published.close();
  console.log(`after ${await find("ahostsv4", "otter1.spanway")}`);
}

/** The first address that the C library finds. */
async function find(database: string, name: string): Promise<string> {
  try {
    return (await run("getent", [database, name])).stdout.split(" ")[0]!;
  } catch {
    return "-";
  }
}
