import { errorCode, errorMessage, ProtocolError, SpanwayError, TransportError } from "../errors.ts";
import type { BidiStream, Session } from "../transport/transport.ts";
import { ByteReader } from "../wire/byte_reader.ts";
import {
  type ControlMessage,
  encodeControl,
  type Hello,
  PROTOCOL_VERSIONS,
  readControl,
  type Welcome,
} from "../wire/control.ts";

/** The control stream of a session: CBOR messages both ways. */
export class Control {
  readonly #bytes: ByteReader;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  constructor(stream: BidiStream) {
    this.#bytes = new ByteReader(stream.readable);
    this.#writer = stream.writable.getWriter();
    this.#writer.closed.catch(() => {});
  }

  /** The next message; undefined at the end. @throws {ProtocolError | TransportError} */
  read(): Promise<ControlMessage | undefined> {
    return readControl(this.#bytes);
  }

  /** Sends a message. Resolves false when the stream has broken. Never rejects. */
  async send(message: ControlMessage): Promise<boolean> {
    try {
      await this.#writer.write(encodeControl(message));
      return true;
    } catch {
      return false;
    }
  }
}

/** The highest version both sides speak; undefined without one. */
export function commonVersion(theirs: readonly number[]): number | undefined {
  return PROTOCOL_VERSIONS.filter((version) => theirs.includes(version)).sort((a, b) => b - a)[0];
}

/**
 * The dialling side: opens the control stream, says HELLO, waits for the answer.
 * @throws {TransportError} `connect-timeout`, `session-closed`
 * @throws {ProtocolError} when the answer is no WELCOME and no REFUSE
 * @throws {RefusedError} when the peer refused
 */
export async function dialHandshake(
  session: Session,
  hello: Omit<Hello, "t" | "versions">,
  timeoutMs: number,
): Promise<{ control: Control; welcome: Welcome }> {
  return await within(timeoutMs, async () => {
    const control = new Control(await session.openStream());
    await control.send({ t: "hello", versions: PROTOCOL_VERSIONS, ...hello });
    const answer = await control.read();
    if (answer === undefined) throw new TransportError("session-closed", "the edge closed the session");
    if (answer.t === "refuse") throw new RefusedError(answer.code, answer.message);
    if (answer.t !== "welcome") throw new ProtocolError("unexpected", `"${answer.t}" where an answer to HELLO belongs`);
    return { control, welcome: answer };
  });
}

/**
 * The accepting side: reads HELLO and lets `admit` decide. A refusal is answered here, WELCOME is left to the caller, who
 * may have something to do before.
 * @throws what `admit` throws, ProtocolError or TransportError; the peer is being told: end the session a little later
 */
export async function acceptHello<Admission>(
  session: Pick<Session, "acceptStream">,
  admit: (hello: Hello) => Promise<Admission>,
  timeoutMs: number,
): Promise<{ control: Control; version: number; admission: Admission }> {
  let control: Control | undefined;
  try {
    return await within(timeoutMs, async () => {
      const stream = await session.acceptStream();
      if (stream === undefined) throw new TransportError("session-closed", "the session ended before HELLO");
      control = new Control(stream);
      const hello = await control.read();
      if (hello?.t !== "hello") throw new ProtocolError("unexpected", "the first message is not HELLO");
      const version = commonVersion(hello.versions);
      if (version === undefined) {
        throw new ProtocolError(
          "unsupported-version",
          `the service speaks spanway/${PROTOCOL_VERSIONS.join(", ")}, the agent spanway/${hello.versions.join(", ")}`,
          { hint: "Update spanway on both sides." },
        );
      }
      return { control, version, admission: await admit(hello) };
    });
  } catch (error) {
    // Not waited for: a peer who takes nothing must not hold a place. Whoever called leaves the time to read it.
    void control?.send({ t: "refuse", code: errorCode(error), message: errorMessage(error) });
    throw error;
  }
}

/** The peer answered HELLO with a refusal; `code` is its reason. */
export class RefusedError extends SpanwayError {}

/** Runs `work` for at most `timeoutMs`. @throws {TransportError} `connect-timeout` */
export async function within<T>(timeoutMs: number, work: () => Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new TransportError("connect-timeout", `no handshake within ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
  });
  const running = work();
  running.catch(() => {});
  try {
    return await Promise.race([running, timeout]);
  } finally {
    if (timer !== undefined) clearTimeout(timer);
  }
}
