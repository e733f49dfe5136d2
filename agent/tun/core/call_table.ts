/**
 * The TCP connections of local programs to the far side. Each is known by two numbers: by the program's port and the far
 * end that it means, and by the port under which our listener sees it.
 */

/** One connection, from its first SYN on. */
export interface Call {
  /** What tells it from all others on the program's side. */
  readonly key: string;
  /** The program's end, on our address. */
  readonly fromPort: number;
  /** The end that it means. */
  readonly to: Uint8Array;
  readonly toPort: number;
  /** Sequence number of its SYN: a repeated one is the same call. */
  readonly sequence: number;
  /** The packet with its SYN, until the far side has answered. */
  held: Uint8Array | undefined;
  /** Under which port our listener sees it; 0 as long as it does not. */
  port: number;
  /** The listener has accepted it. */
  accepted: boolean;
  /** Its socket is closed; what is still on its way is passed on for a while. */
  over: boolean;
  /** When its last packet passed. */
  usedAt: number;
}

export interface CallTableOptions {
  readonly max: number;
  /** Calls at once whose far side has not answered. */
  readonly heldMax: number;
  /** How long one that is over is remembered. */
  readonly lingerMs: number;
  /** How far behind the order of use may be: moving a call for every packet would cost more than it is worth. */
  readonly movedAfterMs: number;
}

const PORTS = 0xffff;

/** Bounded: who was idle for longest makes room, those that are over first. */
export class CallTable {
  readonly #options: CallTableOptions;
  /** The longest idle first, to within `movedAfterMs`. */
  readonly #calls = new Map<string, Call>();
  readonly #byPort = new Map<number, Call>();
  /** In the order in which they came. */
  readonly #held = new Set<Call>();
  readonly #over = new Set<Call>();
  #lastPort = 0;

  constructor(options: CallTableOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#calls.size;
  }

  /** Those whose far side has not answered. */
  get held(): number {
    return this.#held.size;
  }

  byKey(key: string): Call | undefined {
    return this.#calls.get(key);
  }

  byPort(port: number): Call | undefined {
    return this.#byPort.get(port);
  }

  /** Takes in a call whose SYN is held. Returns those that make room for it; they are no longer in the table. */
  add(call: Call): Call[] {
    const gone: Call[] = [];
    const leaves = (each: Call) => {
      this.remove(each);
      gone.push(each);
    };
    if (this.#calls.size >= this.#options.max) leaves(first(this.#over) ?? this.#calls.values().next().value!);
    // Who has just left may have been one of them.
    if (this.#held.size >= this.#options.heldMax) leaves(first(this.#held)!);
    this.#calls.set(call.key, call);
    this.#held.add(call);
    return gone;
  }

  /** The far side has answered: gives the call its port, one that nobody had for as long as possible. */
  open(call: Call): void {
    this.#held.delete(call);
    do this.#lastPort = this.#lastPort % PORTS + 1; while (this.#byPort.has(this.#lastPort));
    call.port = this.#lastPort;
    this.#byPort.set(call.port, call);
  }

  /** A packet of it passed. */
  use(call: Call, now: number): void {
    const moved = now - call.usedAt >= this.#options.movedAfterMs;
    if (!moved) return;
    call.usedAt = now;
    this.#calls.delete(call.key);
    this.#calls.set(call.key, call);
    if (!call.over) return;
    this.#over.delete(call);
    this.#over.add(call);
  }

  /** Its socket is closed. */
  end(call: Call, now: number): void {
    if (call.over || this.#calls.get(call.key) !== call) return;
    call.over = true;
    call.usedAt = now;
    this.#over.add(call);
  }

  /** Forgets it. */
  remove(call: Call): void {
    if (this.#calls.get(call.key) === call) this.#calls.delete(call.key);
    if (this.#byPort.get(call.port) === call) this.#byPort.delete(call.port);
    this.#held.delete(call);
    this.#over.delete(call);
  }

  /** Forgets those that have been over for long enough. */
  sweep(now: number): void {
    for (const call of this.#over) {
      if (now - call.usedAt < this.#options.lingerMs) break;
      this.remove(call);
    }
  }

  /** Empties the table; returns what was in it. */
  clear(): Call[] {
    const calls = [...this.#calls.values()];
    for (const each of calls) this.remove(each);
    return calls;
  }
}

function first(calls: ReadonlySet<Call>): Call | undefined {
  return calls.values().next().value;
}
