import assert from "node:assert/strict";
import { LinkError } from "../../shared/errors.ts";
import { parseHostRule } from "./host_rule.ts";
import { parseIp } from "./ip.ts";
import { allowsNothing, ReachPolicy } from "./policy.ts";
import { parsePorts, type Protocol } from "./port_set.ts";
import { type TargetHost, THIS_MACHINE } from "./target_host.ts";

const OWN = new Set(["127.0.0.1", "::1", "192.168.1.5", "fd00::5", "fe80::5"]);
const LAN: TargetHost = { kind: "address", label: "192.168.1.9", ip: parseIp("192.168.1.9")! };
const NAMED: TargetHost = { kind: "name", label: "app.test", name: "app.test" };

interface Given {
  readonly ports?: string;
  readonly hosts?: readonly string[];
  readonly target?: TargetHost;
}

function policy({ ports = "all", hosts = [], target = THIS_MACHINE }: Given): ReachPolicy {
  return new ReachPolicy({
    target,
    ports: parsePorts(ports),
    allowHosts: hosts.map(parseHostRule),
    name: () => "my-demo",
    own: () => OWN,
  });
}

/** What is dialled for `host:port`; for a name whose lookup gives `found`, what is dialled of that. Empty: refused. */
function dialled(given: Given, host: string, port = 80, found?: readonly string[], protocol: Protocol = "tcp"): string {
  try {
    const decision = policy(given).decide(protocol, { host, port });
    if (decision.kind === "addresses") {
      assert.equal(found, undefined, `${host} is not looked up`);
      return decision.addresses.join(" ");
    }
    if (found === undefined) return `?${decision.name}`;
    return decision.admit(found).join(" ");
  } catch (error) {
    assert(error instanceof LinkError, String(error));
    assert.equal(error.code, "not-allowed");
    return "";
  }
}

/** Each case: host, port, and what is dialled. */
function check(given: Given, cases: readonly (readonly [host: string, port: number, expected: string])[]): void {
  for (const [host, port, expected] of cases) {
    assert.equal(dialled(given, host, port), expected, `${JSON.stringify(given)} ${host}:${port}`);
  }
}

const HERE = "127.0.0.1 ::1";

Deno.test("every way to say 'the shared machine' leads to it, and to nothing else", () => {
  for (const host of ["", "localhost", "LOCALHOST", "localhost.", "app.localhost", "my-demo", "MY-DEMO", "my-demo."]) {
    assert.equal(dialled({}, host), HERE, host);
  }
  for (
    const host of [
      "my-demo.spanway",
      "My-Demo.Spanway.",
      "127.0.0.1",
      "127.0.0.1.",
      "::ffff:127.0.0.1",
      "::ffff:7f00:1",
    ]
  ) {
    assert.equal(dialled({}, host), HERE, host);
  }
  // Who asks for one address gets that one first.
  check({}, [["::1", 80, "::1 127.0.0.1"], ["0:0:0:0:0:0:0:1", 80, "::1 127.0.0.1"], ["127.0.0.53", 53, "127.0.0.53"]]);
});

Deno.test("nothing beyond the target host by default", () => {
  const others = [
    "db",
    "example.com",
    "other.spanway",
    "spanway",
    "my-demo.evil.org",
    "10.0.0.1",
    "8.8.8.8",
    "192.168.1.9",
    "fd00::1",
    // The machine's own addresses are literals like others.
    "192.168.1.5",
    "fd00::5",
    "0.0.0.0",
    "::",
    "169.254.169.254",
    "fe80::1",
    "224.0.0.1",
    "255.255.255.255",
  ];
  for (const host of others) assert.equal(dialled({}, host), "", host);
});

Deno.test("addresses in disguise are not the shared machine", () => {
  const disguised = [
    "0x7f.1",
    "2130706433",
    "127.1",
    "0177.0.0.1",
    "0",
    "１２７.０.０.１",
    "[::1]",
    "::1%lo",
    "127.0.0.1:22",
    "localhost\0",
    "::127.0.0.1",
    "64:ff9b::127.0.0.1",
    "2002:7f00:1::",
    "2001:db8::5efe:7f00:1",
    "a".repeat(300),
  ];
  for (const host of disguised) {
    assert.equal(dialled({ hosts: ["0.0.0.0/0", "::/0"] }, host), "", JSON.stringify(host));
  }
});

Deno.test("ports hold for every way to the target host", () => {
  const given = { ports: "22,3000-3010,53/udp" };
  for (const host of ["", "localhost", "my-demo", "127.0.0.1", "::1", "127.0.0.53", "my-demo.spanway"]) {
    assert.notEqual(dialled(given, host, 22), "");
    assert.notEqual(dialled(given, host, 3010), "");
    assert.equal(dialled(given, host, 23), "");
    assert.equal(dialled(given, host, 3011), "");
    assert.equal(dialled(given, host, 53), "");
    assert.notEqual(dialled(given, host, 53, undefined, "udp"), "");
    assert.equal(dialled({ ports: "none" }, host, 22), "");
  }
  for (const port of [0, -1, 65_536, 1.5, NaN]) assert.equal(dialled({}, "", port), "");
});

Deno.test("another machine as target: all loopback names mean it, and this machine is out of reach", () => {
  for (
    const host of ["", "localhost", "127.0.0.1", "::1", "127.9.9.9", "my-demo", "192.168.1.9", "::ffff:192.168.1.9"]
  ) {
    assert.equal(dialled({ target: LAN }, host), "192.168.1.9", host);
  }
  for (const host of ["192.168.1.5", "fd00::5", "192.168.1.8"]) assert.equal(dialled({ target: LAN }, host), "", host);
  assert.equal(dialled({ target: LAN, ports: "22" }, "192.168.1.9", 23), "");
  for (const host of ["", "localhost", "127.0.0.1", "my-demo.spanway", "APP.test"]) {
    assert.equal(dialled({ target: NAMED }, host), "?app.test", host);
  }
});

Deno.test("a target's name that later leads here, or where no host is, is refused", () => {
  const found = (...addresses: string[]) => dialled({ target: NAMED }, "", 80, addresses);
  assert.equal(found("10.0.0.1", "fd00::1"), "10.0.0.1 fd00::1");
  for (
    const address of [
      "127.0.0.1",
      "127.0.0.53",
      "::1",
      "0.0.0.0",
      "::",
      "192.168.1.5",
      "fd00::5",
      "fe80::5",
      "fe80::1%eth0",
      "169.254.169.254",
      "::ffff:127.0.0.1",
      "::ffff:192.168.1.5",
      "64:ff9b::192.168.1.5",
      "2002:c0a8:105::1",
      "224.0.0.1",
      "255.255.255.255",
      "100.100.100.200",
      "nonsense",
    ]
  ) {
    assert.equal(found(address), "", address);
    assert.equal(found(address, "10.0.0.1"), "10.0.0.1", address);
  }
  assert.equal(found(), "");
});

Deno.test("an allowed name is looked up for its ports only, and only where it is allowed", () => {
  const given = { ports: "22", hosts: ["db:5432", "*.corp.example:443,53/udp", "cache"] };
  check(given, [
    ["db", 5432, "?db"],
    ["DB.", 5432, "?db"],
    ["db", 22, ""],
    ["a.corp.example", 443, "?a.corp.example"],
    ["corp.example", 443, ""],
    ["a.corp.example", 53, ""],
    ["cache", 1, "?cache"],
    ["cache.evil.org", 1, ""],
    ["other", 22, ""],
  ]);
  assert.equal(dialled(given, "a.corp.example", 53, undefined, "udp"), "?a.corp.example");
  // What is allowed of others opens nothing here.
  check(given, [["", 5432, ""], ["", 443, ""], ["", 22, HERE]]);
});

Deno.test("an allowed name cannot be turned against the machine, its network or its cloud", () => {
  const hosts = ["db"];
  const found = (address: string, given: Given = { hosts }) => dialled(given, "db", 5432, [address]);
  assert.equal(found("10.0.0.1"), "10.0.0.1");
  const special = [
    "127.0.0.1",
    "127.0.0.53",
    "::1",
    "::ffff:127.0.0.1",
    "0.0.0.0",
    "::",
    "169.254.169.254",
    "fe80::1",
    "fe80::5",
    "fd00:ec2::254",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
    "240.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2001:0:5ef5:79fb:0:59c8:80ff:fffe",
    "::127.0.0.1",
    "nonsense",
  ];
  for (const address of special) {
    assert.equal(found(address), "", address);
    // Nor by the way of a network that has everything in it.
    assert.equal(found(address, { hosts: ["db", "0.0.0.0/0", "::/0"] }), "", address);
    // What is good beside it is taken.
    assert.equal(dialled({ hosts }, "db", 5432, [address, "10.0.0.1"]), "10.0.0.1", address);
  }
});

Deno.test("this machine's own addresses are the target host, so that no rule opens its other ports", () => {
  for (const own of ["192.168.1.5", "fd00::5"]) {
    const name = (ports: string) => dialled({ ports, hosts: ["db"] }, "db", 5432, [own]);
    assert.equal(name("all"), own);
    assert.equal(name("5432"), own);
    assert.equal(name("22"), "");
    assert.equal(name("none"), "");
    for (const rule of ["192.168.0.0/16", "192.168.1.5", "0.0.0.0/0", "fd00::/8", "fd00::5", "::/0"]) {
      const about = rule.includes(":") === own.includes(":");
      assert.equal(dialled({ hosts: [rule] }, own, 5432), about ? own : "", `${rule} ${own}`);
      assert.equal(dialled({ hosts: [rule], ports: "22" }, own, 5432), "", `${rule} ${own}`);
    }
    // The rule's own ports hold as well.
    assert.equal(dialled({ hosts: ["192.168.1.5:22", "[fd00::5]:22"] }, own, 5432), "");
  }
  // Through a translator as well.
  assert.equal(dialled({ hosts: ["db"], ports: "22" }, "db", 5432, ["64:ff9b::192.168.1.5"]), "");
});

Deno.test("with another machine as target, this one is reached only where it was named by its very address", () => {
  for (const target of [LAN, NAMED]) {
    assert.equal(dialled({ target, hosts: ["db"] }, "db", 5432, ["192.168.1.5"]), "");
    assert.equal(dialled({ target, hosts: ["192.168.0.0/16"] }, "192.168.1.5", 5432), "");
    assert.equal(dialled({ target, hosts: ["192.168.0.0/16"] }, "192.168.1.8", 5432), "192.168.1.8");
    assert.equal(dialled({ target, hosts: ["192.168.1.5:5432"] }, "192.168.1.5", 5432), "192.168.1.5");
    assert.equal(dialled({ target, hosts: ["192.168.1.5:5432"] }, "192.168.1.5", 5433), "");
    assert.equal(dialled({ target, hosts: ["db", "192.168.1.5"] }, "db", 5432, ["127.0.0.1"]), "");
  }
});

Deno.test("addresses are reached by rules about addresses, and special ones only by rules that mean them", () => {
  const given = {
    ports: "none",
    hosts: ["10.0.0.0/8:22", "10.9.9.9", "[fd00::7]:80", "169.254.0.0/16", "fd00:ec2::254"],
  };
  check(given, [
    ["10.1.2.3", 22, "10.1.2.3"],
    ["::ffff:10.1.2.3", 22, "10.1.2.3"],
    ["10.1.2.3", 23, ""],
    ["10.9.9.9", 23, "10.9.9.9"],
    ["11.0.0.1", 22, ""],
    ["fd00::7", 80, "fd00::7"],
    ["fd00::7", 81, ""],
    ["fd00::8", 80, ""],
    ["169.254.169.254", 80, "169.254.169.254"],
    ["fd00:ec2::254", 80, "fd00:ec2::254"],
    // Names are never looked up for rules about addresses.
    ["ten.example", 22, ""],
  ]);
  const wide = { hosts: ["0.0.0.0/0", "::/0"] };
  check(wide, [["8.8.8.8", 53, "8.8.8.8"], ["2001:db8::1", 53, "2001:db8::1"]]);
  for (
    const host of ["0.0.0.0", "169.254.169.254", "168.63.129.16", "224.0.0.1", "255.255.255.255", "240.0.0.1", "::"]
  ) {
    assert.equal(dialled(wide, host), "", host);
  }
  for (const host of ["fe80::1", "ff02::1", "fd00:ec2::254", "64:ff9b::169.254.169.254", "2002:a9fe:a9fe::"]) {
    assert.equal(dialled(wide, host), "", host);
  }
});

Deno.test("the share's name counts as it is now", () => {
  let name = "first-name";
  const changing = new ReachPolicy({
    target: THIS_MACHINE,
    ports: parsePorts("all"),
    allowHosts: [],
    name: () => name,
    own: () => OWN,
  });
  const asks = (host: string) => changing.decide("tcp", { host, port: 80 }).kind;
  assert.equal(asks("first-name"), "addresses");
  name = "second-name";
  assert.equal(asks("second-name.spanway"), "addresses");
  assert.throws(() => asks("first-name"), { code: "not-allowed" });
});

Deno.test("a refusal tells peers what to ask for, and nothing of the owner's list", () => {
  const given = policy({ ports: "22", hosts: ["secret.corp:5432"] });
  assert.throws(() => given.decide("tcp", { host: "", port: 80 }), {
    message: "This share does not let in connections to TCP port 80.",
  });
  assert.throws(() => given.decide("udp", { host: "other", port: 80 }), (error) => {
    assert(error instanceof LinkError);
    assert.match(error.hint ?? "", /--allow-host/);
    assert.doesNotMatch(error.message + error.hint, /secret|5432|22/);
    return true;
  });
});

Deno.test("a share that allows nothing takes no connections", () => {
  const rules = (ports: string, hosts: readonly string[] = []) => ({
    ports: parsePorts(ports),
    allowHosts: hosts.map(parseHostRule),
  });
  assert(allowsNothing(rules("none")));
  assert(!allowsNothing(rules("none", ["db"])));
  assert(!allowsNothing(rules("22")));
});
