import { complianceCases } from "../compliance.ts";
import { loopbackPair } from "./h3_loopback.ts";
import { UdpLink } from "./udp_link.ts";

// Streams are handed out raw, for speed, and these two are how the runtime's behave.
const CAPABILITIES = { readsEndCleanly: false, abortsAtOnce: false };

const direct = complianceCases("h3", async () => {
  const { client, server, close } = await loopbackPair();
  return {
    client,
    server,
    async dispose() {
      client.close();
      await close();
    },
  };
}, { ...CAPABILITIES, losesPaths: false });

const linked = complianceCases("h3 over a path that can be lost", async () => {
  let link: UdpLink | undefined;
  const { client, server, close } = await loopbackPair({
    via: async (port) => (link = await UdpLink.to(port)).port,
  });
  return {
    client,
    server,
    cut: () => link?.cut(),
    async dispose() {
      client.close();
      await close();
      link?.close();
    },
  };
}, CAPABILITIES);

for (const { name, run } of [...direct, ...linked]) Deno.test(name, run);
