import { concatBytes } from "@noble/hashes/utils.js";
import { LinkError } from "../errors.ts";
import { HANDSHAKE_TIMEOUT_MS } from "../limits.ts";
import { within } from "../relay/handshake.ts";
import type { Session } from "../transport/transport.ts";
import { ByteReader } from "../wire/byte_reader.ts";
import { encodeStreamHeader } from "../wire/control.ts";
import { lengthPrefixed } from "../wire/varint.ts";
import { PREFACE_NEW_LINK, readHandshakeFrame, REFUSED_TOO_MANY } from "./frame_io.ts";
import { ConnectorHandshake, type HandshakeOptions, type LinkPeer } from "./handshake.ts";
import { LinkKeys } from "./keys.ts";
import { Lane, type LaneOwner } from "./lane.ts";

/** A link that both sides have agreed on. */
export interface OpenedLink {
  readonly keys: LinkKeys;
  readonly peer: LinkPeer;
  /** Makes the lane that the handshake ran on; to be called once. */
  readonly first: (owner: LaneOwner) => Lane;
}

/**
 * Sets up a link over a session with the relay: the handshake of the connecting side. `check` decides on the share's
 * identity before anything is told to it.
 * @throws what `check` throws; {LinkError} `tampered`, `refused`, `too-many-streams`; {TransportError} `connect-timeout`, `stream-cut`, `session-closed`;
 * {ProtocolError}
 */
export async function openLink(
  session: Session,
  options: HandshakeOptions,
  check: (peer: LinkPeer) => void | Promise<void>,
): Promise<OpenedLink> {
  return await within(HANDSHAKE_TIMEOUT_MS, async () => {
    const stream = await session.openStream();
    const writer = stream.writable.getWriter();
    writer.closed.catch(() => {});
    const bytes = new ByteReader(stream.readable);
    try {
      const handshake = new ConnectorHandshake(options);
      const header = encodeStreamHeader({ k: "link" });
      writer.write(concatBytes(header, Uint8Array.of(PREFACE_NEW_LINK), lengthPrefixed(handshake.start()))).catch(
        () => {},
      );
      const message2 = await readHandshakeFrame(bytes);
      if (message2.length === 0) {
        throw new LinkError("refused", "The owner of the share lets nobody connect.", {
          hint: "Ask its owner to share again with --ports.",
        });
      }
      if (message2.length === 1) throw refusal(message2[0]);
      const { message3, peer, secret } = await handshake.finish(message2, check);
      writer.write(lengthPrefixed(message3)).catch(() => {});
      writer.releaseLock();
      const { rest, readable } = bytes.release();
      return {
        keys: new LinkKeys(secret, "connector"),
        peer,
        first: (owner) => new Lane(owner, { readable, writable: stream.writable }, rest),
      };
    } catch (error) {
      writer.close().catch(() => {});
      void bytes.cancel();
      throw error;
    }
  });
}

/** Reasons of later versions are no better known than this. */
function refusal(reason: number | undefined): LinkError {
  if (reason !== REFUSED_TOO_MANY) return new LinkError("refused", "The share does not take the link.");
  return new LinkError("too-many-streams", "Too many connectors use the share, or came at once.", {
    hint: "Try again in a moment.",
  });
}
