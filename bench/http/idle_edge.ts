/** An edge's relay core with its real listener that admits every agent: what an idle share costs. Prints its address. */
import { RelayCore } from "../../shared/relay/relay_core.ts";
import { listenH3 } from "../../shared/transport/deno/h3_server.ts";
import { makeCertificate } from "../../worker/edge/certificate.ts";

const core = new RelayCore("local", {
  now: Date.now,
  admit: ({ name }) => Promise.resolve({ session: name, name, expiresAt: Date.now() + 3_600_000 }),
  attached() {},
  detached() {},
  refused: (code) => console.error(`refused: ${code}`),
});
const { cert, key, sha256 } = await makeCertificate(["127.0.0.1"], Date.now());
const server = listenH3({
  hostname: "127.0.0.1",
  port: 0,
  cert,
  key,
  onSession(request) {
    const session = request.accept();
    if (session !== undefined) void core.serve(session);
  },
});
// Without this, what counts is when the collector last ran, not what is kept.
const collect = (globalThis as { gc?: () => void }).gc;
setInterval(() => {
  core.sweep();
  collect?.();
}, 1000);
console.log(`https://127.0.0.1:${server.address.port}/.spanway/session#${sha256.toHex()}`);
