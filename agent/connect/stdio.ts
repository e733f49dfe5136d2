/** One connection over standard input and output, as for SSH's ProxyCommand. */
import type { LinkErrorCode } from "../../shared/errors.ts";
import type { LinkTarget, StreamEnd, Tunnel } from "../../shared/link/ends.ts";
import { stdioEnd } from "../net/stdio_end.ts";

/**
 * Carries standard input and output to `target`. Resolves once both directions are over and whoever reads the output has
 * been given everything. Never rejects. `failed` hears of a failure before the output ends: SSH kills its proxy then.
 */
export async function carryStdio(
  target: LinkTarget,
  tunnel: Tunnel,
  failed: (code: LinkErrorCode) => Promise<void> = () => Promise.resolve(),
  stdio = stdioEnd(),
): Promise<StreamEnd> {
  const { end, closed } = stdio;
  let opened = false;
  const ended = await tunnel.connect(target, end, () => void (opened = true));
  if (ended.code !== undefined) await failed(ended.code);
  if (!opened) end.reset();
  end.close();
  await closed;
  return ended;
}
