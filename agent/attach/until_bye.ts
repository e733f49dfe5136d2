import { ProtocolError } from "../../shared/errors.ts";
import type { Control } from "../../shared/relay/handshake.ts";
import type { Session } from "../../shared/transport/transport.ts";

/**
 * Answers the edge's control messages until it says bye or the session ends, which is also the end of one whose messages
 * make no sense. Resolves with the reason. Never rejects.
 * @param dial hears of an attachment for which a session is asked for
 */
export async function readUntilBye(
  control: Control,
  session: Session,
  dial: (session: string) => void = () => {},
): Promise<{ code: string; message: string }> {
  const closed = session.closed.then(({ reason }) => ({
    code: "session-closed",
    message: reason === "" ? "The connection to the edge was lost." : `The connection to the edge ended: ${reason}.`,
  }));
  const bye = (async () => {
    for (;;) {
      const message = await control.read();
      if (message === undefined) return await closed;
      if (message.t === "bye") return { code: message.code, message: message.message };
      if (message.t === "dial") dial(message.session);
      if (message.t === "ping") await control.send({ t: "pong", n: message.n });
    }
  })().catch((error) => {
    // Whoever makes no sense would not be heard again, and goes on looking alive.
    if (error instanceof ProtocolError) session.close({ code: 1, reason: error.code });
    return closed;
  });
  return await Promise.race([bye, closed]);
}
