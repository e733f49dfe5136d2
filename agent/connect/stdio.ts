/** One connection over standard input and output, as for SSH's ProxyCommand. */
import { LinkError, type LinkErrorCode } from "../../shared/errors.ts";
import type { LinkTarget, StreamEnd, Tunnel } from "../../shared/link/ends.ts";
import { formatAddress } from "../net/address.ts";
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

/** Why a connection over standard input and output failed, in one line; undefined when it did not. */
export function stdioError({ host, port }: LinkTarget, { code }: StreamEnd): LinkError | undefined {
  if (code === undefined) return undefined;
  const place = host === "" ? `port ${port} of the share` : `${formatAddress({ host, port })}, seen from the share,`;
  return new LinkError(code, `The connection to ${place} ${REASONS[code] ?? "failed"}.`);
}

const REASONS: Partial<Record<LinkErrorCode, string>> = {
  "not-allowed": "is not allowed by the share's owner",
  "connection-refused": "was refused: nothing listens there",
  "host-unreachable": "failed: the host cannot be reached",
  "network-unreachable": "failed: the network cannot be reached",
  "timed-out": "failed: there was no answer in time",
  "name-unknown": "failed: the share does not know that name",
  "reset": "was reset",
  "resume-expired": "was given up: there was no way to the share for too long",
  "too-many-streams": "failed: there are too many connections",
  "link-closed": "ended: the share has gone",
  "tampered": "was stopped: something on the way changes what is sent",
};
