import type { Control } from "../../shared/relay/handshake.ts";
import type { Session } from "../../shared/transport/transport.ts";

/** Answers the edge's control messages until it says bye or the session ends. Resolves with the reason. Never rejects. */
export async function readUntilBye(control: Control, session: Session): Promise<{ code: string; message: string }> {
  const closed = session.closed.then(({ reason }) => ({
    code: "session-closed",
    message: reason === "" ? "The connection to the edge was lost." : `The connection to the edge ended: ${reason}.`,
  }));
  const bye = (async () => {
    for (;;) {
      const message = await control.read();
      if (message === undefined) return await closed;
      if (message.t === "bye") return { code: message.code, message: message.message };
      if (message.t === "ping") await control.send({ t: "pong", n: message.n });
    }
  })().catch(() => closed);
  return await Promise.race([bye, closed]);
}
