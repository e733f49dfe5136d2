/** A relay core for tests: shares and connectors join it over whatever sessions they are given. */

import assert from "node:assert/strict";
import { type MemoryOptions, type MemoryPair, memoryPair } from "../transport/memory.ts";
import type { BidiStream, Session } from "../transport/transport.ts";
import { ByteReader } from "../wire/byte_reader.ts";
import { encodeStreamHeader, type Hello, readStreamHeader, type StreamHeader } from "../wire/control.ts";
import { type Control, dialHandshake } from "./handshake.ts";
import { type ConnectorEffects, type RelayBounds, RelayCore } from "./relay_core.ts";

export const NAME = "fair-otter-0001";

/** A side that has been welcomed. */
export interface Joined {
  readonly session: Session;
  readonly control: Control;
  readonly served: Promise<void>;
}

/** A relay core whose Share objects know just what it knows itself, unless a test says otherwise. */
export class ConnectorWorld {
  readonly log: string[] = [];
  readonly refused: string[] = [];
  now = 1_000_000;
  /** What the Share object holds to be the attachment of a share. */
  attachment: (name: string) => string | undefined = (name) => this.core.registry.get(name)?.id;
  /** Consulted before a connector is admitted. */
  admit: (hello: Hello) => void | Promise<void> = () => {};
  readonly core: RelayCore;
  #shares = 0;
  #changed: () => void = () => {};

  /** @param summon brings shares that are not here */
  constructor(bounds: RelayBounds = {}, summon?: ConnectorEffects["summon"]) {
    const tell = (line: string) => {
      this.log.push(line);
      this.#changed();
    };
    const expiresAt = 2_000_000;
    this.core = new RelayCore("test", {
      now: () => this.now,
      admit: ({ name }) => Promise.resolve({ session: `s${++this.#shares}`, name, expiresAt }),
      attached: ({ id }) => tell(`+${id}`),
      detached: ({ id }, reason) => tell(`-${id} ${reason}`),
      refused: (code) => {
        this.refused.push(code);
        this.#changed();
      },
      connectors: {
        admit: async (hello) => {
          await this.admit(hello);
          return { session: this.attachment(hello.name) ?? "none", name: hello.name, expiresAt, fingerprint: "print" };
        },
        ...(summon === undefined ? {} : { summon }),
        came: ({ channel }) => tell(`+c${channel}`),
        went: ({ channel }, reason) => tell(`-c${channel} ${reason}`),
      },
    }, bounds);
  }

  /** Resolves once `done` holds; it is asked whenever the core tells something, and in between. */
  async until(done: () => boolean): Promise<void> {
    while (!done()) {
      await Promise.race([
        new Promise<void>((resolve) => this.#changed = resolve),
        new Promise<void>((resolve) => setTimeout(resolve, 2)),
      ]);
    }
  }

  /** Lets one side join over a pair of sessions of which `server` is the relay's. */
  async join(role: Hello["role"], pair: Pick<MemoryPair, "client" | "server">, name = NAME): Promise<Joined> {
    const served = this.core.serve(pair.server);
    const hello = { role, name, ticket: new Uint8Array(8), agent: "test/1" };
    const { control } = await dialHandshake(pair.client, hello, 2000);
    return { session: pair.client, control, served };
  }

  share(options: MemoryOptions = {}, name = NAME): Promise<Joined> {
    return this.join("share", memoryPair(options), name);
  }

  connector(options: MemoryOptions = {}, name = NAME): Promise<Joined> {
    return this.join("connect", memoryPair(options), name);
  }

  /** Ends all that was joined. */
  async end(...joined: Joined[]): Promise<void> {
    for (const { session } of joined) session.close();
    await Promise.all(joined.map(({ served }) => served));
    assert.deepEqual(this.core.load, { connectors: 0, lanes: 0 });
    assert.equal(this.core.registry.size, 0);
  }
}

/** One end of a lane, as an agent has it. */
export class LaneEnd {
  readonly stream: BidiStream;
  readonly bytes: ByteReader;
  readonly writer: WritableStreamDefaultWriter<Uint8Array>;

  constructor(stream: BidiStream, bytes = new ByteReader(stream.readable)) {
    this.stream = stream;
    this.bytes = bytes;
    this.writer = stream.writable.getWriter();
    this.writer.closed.catch(() => {});
  }

  async say(text: string): Promise<void> {
    await this.writer.write(new TextEncoder().encode(text));
  }

  /** Reads exactly as much text. */
  async hear(length: number): Promise<string> {
    assert.ok(await this.bytes.need(length), "the lane ended early");
    return new TextDecoder().decode(this.bytes.take(length));
  }

  /** Reads to the end. */
  async rest(): Promise<string> {
    while (await this.bytes.fill().catch(() => false));
    return new TextDecoder().decode(this.bytes.take(this.bytes.available));
  }

  /** Reads and throws away, to the end; resolves with how much there was. */
  async drain(): Promise<number> {
    let size = 0;
    do {
      size += this.bytes.available;
      this.bytes.take(this.bytes.available);
    } while (await this.bytes.fill().catch(() => false));
    return size;
  }

  /** Gives the lane up, both ways. */
  break(): void {
    void this.bytes.cancel();
    this.writer.abort().catch(() => {});
  }
}

/** Opens a lane as a connector does: header and first bytes in one write. */
export async function openLane(session: Session, first = ""): Promise<LaneEnd> {
  const end = new LaneEnd(await session.openStream());
  const header = encodeStreamHeader({ k: "link" });
  const text = new TextEncoder().encode(first);
  const bytes = new Uint8Array(header.length + text.length);
  bytes.set(header);
  bytes.set(text, header.length);
  await end.writer.write(bytes);
  return end;
}

/** The end of a lane at the share, with what the relay said of it. */
export interface FarEnd extends LaneEnd {
  readonly header: StreamHeader;
  readonly channel: number | undefined;
}

/** Takes the next lane as a share does. */
export async function takeLane(session: Session): Promise<FarEnd> {
  const stream = await session.acceptStream();
  assert.ok(stream, "the session ended");
  const bytes = new ByteReader(stream.readable);
  const header = await readStreamHeader(bytes);
  assert.ok(header);
  return Object.assign(new LaneEnd(stream, bytes), { header, channel: header.k === "link" ? header.ch : undefined });
}

/** A lane through the relay, both ends. */
export async function lane(share: Joined, connector: Joined): Promise<{ near: LaneEnd; far: FarEnd }> {
  const [near, far] = await Promise.all([openLane(connector.session), takeLane(share.session)]);
  return { near, far };
}

/** Many lanes at once, one for each of `connectors`. Which near end belongs to which far one is not told. */
export async function lanes(share: Joined, connectors: Joined[]): Promise<{ near: LaneEnd[]; far: FarEnd[] }> {
  const opening = Promise.all(connectors.map(({ session }) => openLane(session)));
  const far: FarEnd[] = [];
  // One after the other: a session has one who takes its streams.
  while (far.length < connectors.length) far.push(await takeLane(share.session));
  return { near: await opening, far };
}

/** The BYE that a side is told. */
export async function byeOf({ control }: Joined): Promise<string | undefined> {
  const message = await control.read();
  return message?.t === "bye" ? message.code : undefined;
}
