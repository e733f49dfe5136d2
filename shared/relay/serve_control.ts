import { errorCode, errorMessage, ProtocolError } from "../errors.ts";
import { REFUSAL_LINGER_MS } from "../limits.ts";
import type { Session, SessionClose } from "../transport/transport.ts";
import type { Control } from "./handshake.ts";

/**
 * Answers an agent's control messages until its session ends. `fault` is the code of what the agent did wrong, if that was
 * the cause. Never rejects.
 */
export async function serveControl(
  session: Session,
  control: Control,
): Promise<{ close: SessionClose; fault: string | undefined }> {
  let fault: string | undefined;
  try {
    for (;;) {
      const message = await control.read();
      if (message === undefined || message.t === "bye") break;
      if (message.t === "ping") await control.send({ t: "pong", n: message.n });
    }
    session.close({ code: 0, reason: "bye" });
  } catch (error) {
    if (error instanceof ProtocolError) fault = errorCode(error);
    session.close({ code: 1, reason: errorMessage(error) });
  }
  return { close: await session.closed, fault };
}

/** Tells an agent why, leaves it the time to hear it, then ends the session. Never rejects. */
export async function sayBye(session: Session, control: Control, code: string, message: string): Promise<void> {
  // Not waited for: an agent that takes nothing is given no more time than any other.
  void control.send({ t: "bye", code, message });
  await linger(session, code);
}

/** Waits until the peer closes the session, for REFUSAL_LINGER_MS at the most, then closes it. Never rejects. */
export async function linger(session: Session, reason: string): Promise<void> {
  const timer = setTimeout(() => session.close({ code: 1, reason }), REFUSAL_LINGER_MS);
  await session.closed;
  clearTimeout(timer);
}
