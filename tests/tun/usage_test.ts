/** Command lines about addresses that cannot be meant: refused at once, with what to write instead. */
import assert from "node:assert/strict";
import { run } from "../support/tun_world.ts";

const launcher = new URL("../../agent/bin/spanway.js", import.meta.url).pathname;

const WRONG: Readonly<Record<string, RegExp>> = {
  "--tun --exec -- true": /--tun and --exec exclude each other/,
  "--hosts --shell": /--hosts and --shell exclude each other/,
  "--ip 10.0.0.9 --stdio 22": /--ip and --stdio exclude each other/,
  "--exec": /--exec needs a command.*\n.*--exec -- COMMAND/,
  "--exec --shell -- true": /exclude each other/,
  "--shell -- true": /--shell takes no command/,
  "--exec --map -- true": /--exec and --map exclude each other/,
  "--internet": /--internet needs --exec or --shell/,
  "-- psql": /--ssh or --exec.*\n.*here, where the share is: --exec -- COMMAND/,
  "--ssh --tun": /--ssh logs in and does nothing else; --tun/,
  "--ip 127.0.0.1": /no address for a share/,
  "--ip 172.16.0": /no address for a share/,
  "--ip fd00::2": /no address for a share/,
  "--ip 224.0.0.1": /no address for a share/,
};

Deno.test("command lines that cannot be meant are refused, with what to write instead", async () => {
  const env = { ...Deno.env.toObject(), NO_COLOR: "1" };
  for (const [line, message] of Object.entries(WRONG)) {
    const { code, err } = await run(["node", launcher, "connect", "my-demo-share", ...line.split(" ")], { env });
    assert.equal(code, 2, `${line}: ${err}`);
    assert.match(err, message, line);
  }
});
