import { complianceCases } from "../compliance.ts";
import { loopbackPair } from "./h3_loopback.ts";

for (
  const { name, run } of complianceCases("h3", async () => {
    const { client, server, close } = await loopbackPair();
    return {
      client,
      server,
      async dispose() {
        client.close();
        await close();
      },
    };
  }, { readsEndCleanly: false, abortsAtOnce: false })
) Deno.test(name, run);
