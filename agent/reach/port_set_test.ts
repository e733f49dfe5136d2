import assert from "node:assert/strict";
import { UsageError } from "../errors.ts";
import { ALL_PORTS, formatPorts, hasPort, isAll, isEmpty, NO_PORTS, parsePorts } from "./port_set.ts";

Deno.test("lists of ports are read, merged and written back", () => {
  const expected: [string, string][] = [
    ["all", "all"],
    ["ALL", "all"],
    ["none", "none"],
    [" None ", "none"],
    ["22", "22"],
    ["22,80,3000-3010", "22, 80, 3000-3010"],
    [" 80 , 22 ", "22, 80"],
    ["53/udp", "53/udp"],
    ["53/udp,53/tcp", "53"],
    ["22/TCP,53/udp,80", "22/tcp, 53/udp, 80"],
    ["1-5,3-9,10,12", "1-10, 12"],
    ["22,22,22", "22"],
    ["1-65535", "all"],
    ["all,22", "all"],
    ["all/tcp", "all/tcp"],
    ["all/udp,22", "all/udp, 22/tcp"],
    ["65535", "65535"],
    ["0022", "22"],
  ];
  for (const [text, written] of expected) {
    const set = parsePorts(text);
    assert.equal(formatPorts(set), written, text);
    assert.deepEqual(parsePorts(formatPorts(set)), set, text);
  }
});

Deno.test("a port is in its set, for its protocol, and no other is", () => {
  const set = parsePorts("22/tcp,53/udp,3000-3010");
  const inside: [number, boolean, boolean][] = [
    [21, false, false],
    [22, true, false],
    [53, false, true],
    [2999, false, false],
    [3000, true, true],
    [3010, true, true],
    [3011, false, false],
  ];
  for (const [port, tcp, udp] of inside) {
    assert.equal(hasPort(set, "tcp", port), tcp, `${port}/tcp`);
    assert.equal(hasPort(set, "udp", port), udp, `${port}/udp`);
  }
  for (const port of [1, 65_535]) assert(hasPort(ALL_PORTS, "tcp", port) && !hasPort(NO_PORTS, "tcp", port));
  for (const port of [0, -1, 65_536, NaN, Infinity]) assert(!hasPort(ALL_PORTS, "udp", port));
  assert(isAll(ALL_PORTS) && !isAll(set) && !isAll(parsePorts("all/tcp")));
  assert(isEmpty(NO_PORTS) && !isEmpty(set) && !isEmpty(parsePorts("1/udp")));
});

Deno.test("what is no list of ports is refused with a next step", () => {
  const refused = [
    "",
    " ",
    ",",
    "22,",
    ",22",
    "22,,80",
    "0",
    "0-5",
    "65536",
    "1-65536",
    "99999999999999999999",
    "30-20",
    "22-",
    "-22",
    "1-2-3",
    "ssh",
    "22/",
    "22/sctp",
    "22/tcp/udp",
    "22 80",
    "none,22",
    "22,none",
    "none/tcp",
    "1e3",
    "0x16",
    "+22",
    "2２",
  ];
  for (const text of refused) {
    assert.throws(() => parsePorts(text), (error) => error instanceof UsageError && Boolean(error.hint), `"${text}"`);
  }
  assert.throws(() => parsePorts("30-20"), { hint: "Write it as 20-30." });
});
