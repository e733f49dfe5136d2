import assert from "node:assert/strict";
import process from "node:process";
import { scanArgv } from "./argv.js";
import { findLibc, mayMakeDevices, tunPart } from "./tun_part.js";

const part = (line: string) => tunPart(scanArgv(line.split(" ")));

Deno.test("who asks for a static IP gets what it takes, who asks for something else does not", () => {
  for (const line of ["connect x --tun", "connect x --ip 10.0.0.1", "connect --ip=10.0.0.1 x", "connect x --hosts"]) {
    assert.equal(part(line), "device", line);
  }
  for (const line of ["connect x --exec -- psql --tun", "connect x --shell", "connect --internet --shell x"]) {
    assert.equal(part(line), "inside", line);
  }
  const others = [
    "share 3000 --tun",
    "connect --ssh x",
    "connect x --no-tun",
    "connect x --map",
    "connect x -L 1:1",
    "connect x --stdio 22",
    "relay",
  ];
  for (const line of others) assert.equal(part(line), undefined, line);
  assert.equal(part("setup-tun --user me"), "setup");
});

Deno.test("who asks for nothing gets it where it is possible", () => {
  assert.equal(part("connect x"), mayMakeDevices() ? "device" : undefined);
  assert.match(findLibc() ?? "", process.platform === "linux" ? /libc\.so\.6$/ : /^$|libSystem/);
});
