import assert from "node:assert/strict";
import { parseHostRule } from "../reach/host_rule.ts";
import { parseIp } from "../reach/ip.ts";
import { type TargetHost, THIS_MACHINE } from "../reach/target_host.ts";
import { refuseOwnHosts } from "./own_hosts.ts";

const own = new Set(["127.0.0.1", "192.0.2.2", "fd00::7"]);
const addresses: Record<string, string[]> = { desk: ["127.0.1.1"], neighbour: ["192.0.2.3"] };
const check = (rule: string, target: TargetHost = THIS_MACHINE) =>
  refuseOwnHosts(
    [parseHostRule("db.internal"), parseHostRule(rule)],
    target,
    () => own,
    (name) => Promise.resolve(addresses[name] ?? []),
  );

Deno.test("this machine is no other host, whatever it is called", async () => {
  for (const rule of ["192.0.2.2", "192.0.2.2:80", "[fd00::7]:80", "desk", "desk:22"]) {
    await assert.rejects(check(rule), { code: "usage", message: /is this machine/ }, rule);
  }
});

Deno.test("networks around it, other hosts, and itself beside another target are fine", async () => {
  for (const rule of ["192.0.2.0/24", "192.0.2.3", "neighbour", "unknown", "desk.example", "*.desk"]) await check(rule);
  await check("192.0.2.2", { kind: "address", label: "", ip: parseIp("192.0.2.9")! });
});
