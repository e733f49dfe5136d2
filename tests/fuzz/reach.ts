/** What peers may reach: what owners write, what peers ask for, and what the system says. */
import assert from "node:assert/strict";
import { BlockList, isIP } from "node:net";
import { formatHostRule, type HostRule, parseHostRule } from "../../agent/reach/host_rule.ts";
import { formatIp, parseIp } from "../../agent/reach/ip.ts";
import { ReachPolicy } from "../../agent/reach/policy.ts";
import { formatPorts, hasPort, parsePorts } from "../../agent/reach/port_set.ts";
import { parseNetstat, parseSs } from "../../agent/reach/socket_list.ts";
import { type TargetHost, THIS_MACHINE } from "../../agent/reach/target_host.ts";
import { LinkError } from "../../shared/errors.ts";
import { type RandomBytes, randomInt } from "../../shared/random.ts";
import { type FuzzCase, orRefused } from "./fuzz.ts";
import { damagedText, oneIn, pick, several } from "./inputs.ts";

const PORTS = ["all", "none", "22,80,3000-3010", "53/udp,1-65535/tcp", "65535"];
const RULES = [
  "db.internal",
  "*.example.com:443",
  "10.0.0.0/8:22,5432",
  "[fd00::7]:80",
  "0.0.0.0/0",
  "::/0",
  "192.168.1.5:22",
  "2001:db8::/32",
];
const HOSTS = [
  "",
  "localhost",
  "my-demo.spanway",
  "db.internal",
  "a.example.com",
  "127.0.0.1",
  "127.1.2.3",
  "::1",
  "::ffff:127.0.0.1",
  "64:ff9b::7f00:1",
  "2002:7f00:1::",
  "0x7f.1",
  "2130706433",
  "169.254.169.254",
  "10.1.2.3",
  "192.168.1.5",
  "fd00::7",
  "fe80::1%eth0",
  "[::1]",
  "\uff11\uff12\uff17.0.0.1",
];
const OWN = new Set(["127.0.0.1", "::1", "192.168.1.5"]);
const TARGETS: readonly TargetHost[] = [
  THIS_MACHINE,
  { kind: "address", label: "192.168.1.9", ip: parseIp("192.168.1.9")! },
  { kind: "name", label: "app.test", name: "app.test" },
];

/** This machine. */
const HERE = networks("127.0.0.0/8 ::1/128 192.168.1.5/32");
/** Nobody here allows these by name, and a rule for all addresses does not mean them. */
const NEVER = networks("0.0.0.0/8 169.254.0.0/16 224.0.0.0/4 240.0.0.0/4 ::/128 fe80::/10 ff00::/8 2002:7f00::/24");

function networks(text: string): BlockList {
  const list = new BlockList();
  for (const part of text.split(" ")) {
    const [net = "", bits] = part.split("/");
    list.addSubnet(net, Number(bits), net.includes(":") ? "ipv6" : "ipv4");
  }
  return list;
}

const isIn = (list: BlockList, address: string) => list.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");

/** Rules that go with the address of this machine as such. */
const namesOwn = (rules: readonly HostRule[]) => rules.some((rule) => formatHostRule(rule).startsWith("192.168.1.5"));

function someAddress(random: RandomBytes): string {
  if (oneIn(random, 2)) return pick(random, HOSTS);
  return formatIp({ family: 6, value: BigInt("0x" + random(16).toHex()) });
}

const SS = 'tcp   LISTEN 0 4096 127.0.0.53%lo:53 0.0.0.0:* users:(("systemd",pid=412,fd=15))\n' +
  'tcp   LISTEN 0 128 [::]:22 [::]:* users:(("sshd",pid=1,fd=4),("sshd",pid=2,fd=4))\n' +
  "udp   UNCONN 0 0 *:5353 *:*\n";
const NETSTAT = "tcp46 0 0 *.8080 *.* LISTEN\ntcp4 0 0 127.0.0.1.631 *.* LISTEN\nudp6 0 0 fe80::1%lo0.123 *.*\n";

export const reach: readonly FuzzCase[] = [
  {
    name: "ports that may be reached",
    round(random) {
      const set = orRefused(() => parsePorts(damagedText(random, ...PORTS)));
      if (set === undefined) return;
      assert.deepEqual(parsePorts(formatPorts(set)), set);
      for (const [first, last] of [...set.tcp, ...set.udp]) assert.ok(1 <= first && first <= last && last <= 65535);
    },
  },
  {
    name: "hosts that may be reached",
    round(random) {
      const rule = orRefused(() => parseHostRule(damagedText(random, ...RULES)));
      if (rule !== undefined) assert.deepEqual(parseHostRule(formatHostRule(rule)), rule);
      const text = damagedText(random, ...HOSTS);
      const ip = parseIp(text);
      if (ip === undefined) return;
      assert.deepEqual(parseIp(formatIp(ip)), ip);
      // As URLs spell it.
      if (ip.family === 6) assert.equal(new URL(`http://[${text}]`).hostname, `[${formatIp(ip)}]`);
    },
  },
  {
    name: "what a peer asks to reach",
    round(random) {
      const ports = parsePorts(pick(random, PORTS));
      const allowHosts = several(random, 3, () => parseHostRule(pick(random, RULES)));
      const target = pick(random, TARGETS);
      const policy = new ReachPolicy({ ports, allowHosts, target, name: () => "my-demo", own: () => OWN });
      const protocol = pick(random, ["tcp", "udp"] as const);
      const port = oneIn(random, 4) ? randomInt(random, 70_000) : pick(random, [22, 53, 80, 443, 5432]);
      const host = oneIn(random, 2) ? damagedText(random, ...HOSTS) : someAddress(random);
      let addresses: readonly string[];
      try {
        const decision = policy.decide(protocol, { host, port });
        addresses = decision.kind === "addresses"
          ? decision.addresses
          : decision.admit(several(random, 4, () => someAddress(random)));
      } catch (error) {
        assert.ok(error instanceof LinkError && error.code === "not-allowed", String(error));
        return;
      }
      assert.ok(addresses.length > 0);
      for (const address of addresses) {
        const note = `${host}:${port}/${protocol} leads to ${address}`;
        assert.notEqual(isIP(address), 0, note);
        assert.ok(!isIn(NEVER, address), note);
        if (!isIn(HERE, address)) continue;
        if (target.kind === "here") assert.ok(hasPort(ports, protocol, port), note);
        else assert.ok(namesOwn(allowHosts), note);
      }
    },
  },
  {
    name: "sockets that the system lists",
    round(random) {
      for (const socket of [...parseSs(damagedText(random, SS)), ...parseNetstat(damagedText(random, NETSTAT))]) {
        assert.ok(socket.port >= 1 && socket.port <= 65535);
        assert.ok(socket.address === undefined || isIP(socket.address) !== 0, socket.address);
      }
    },
  },
];
