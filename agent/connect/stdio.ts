/** One connection over standard input and output, as for SSH's ProxyCommand. */
import type { LinkTarget, StreamEnd, Tunnel } from "../../shared/link/ends.ts";
import { stdioEnd } from "../net/stdio_end.ts";

/**
 * Carries standard input and output to `target`. Resolves once both directions are over and whoever reads the output has
 * been given everything. Never rejects.
 */
export async function carryStdio(target: LinkTarget, tunnel: Tunnel, stdio = stdioEnd()): Promise<StreamEnd> {
  const { end, closed } = stdio;
  let opened = false;
  const ended = await tunnel.connect(target, end, () => void (opened = true));
  if (!opened) end.reset();
  end.close();
  await closed;
  return ended;
}
