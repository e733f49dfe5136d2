/** One way from the client to the server: what to dial. */
export interface Dial {
  readonly host: string;
  /** The ports of the server, or of what leads there. */
  readonly ports: { readonly iperf: number; readonly echo: number; readonly udp: number };
}

/** A measurement, and the lines that are printed of it. */
export interface Row {
  /** The command that measures one way for some seconds. */
  command(dial: Dial, seconds: number): readonly string[];
  /** What it says, by field. */
  read(output: string): Readonly<Record<string, number>>;
  /** Only for ways that have an address of their own. */
  readonly addressed?: true;
  /** Title, field of the result, digits behind the point. */
  readonly shows: readonly (readonly [title: string, field: string, digits: number])[];
}

/** Bytes in a datagram: almost as many as fit an Ethernet frame. */
const DATAGRAM_BYTES = 1400;
const PINGS_A_SECOND = 50;

/** The rows, where `script` are the words that start client.ts. */
export function rowsFor(script: readonly string[]): readonly Row[] {
  const client = (what: string, server: "echo" | "udp", count: number, shows: Row["shows"]): Row => ({
    command: (
      { host, ports },
      seconds,
    ) => [...script, what, host, String(ports[server]), String(seconds), String(count)],
    read: (output) => JSON.parse(output),
    shows,
  });
  return [
    iperf([], [["TCP to the share, MB/s", "rate", 0]]),
    iperf(["-R"], [["TCP from the share, MB/s", "rate", 0]]),
    datagramsAt(5),
    datagramsAt(20),
    client("roundTrips", "echo", 1, [["TCP there and back, p50 ms", "p50", 3], [
      "TCP there and back, p99 ms",
      "p99",
      3,
    ]]),
    client("datagrams", "udp", 1, [["UDP there and back, p50 ms", "p50", 3], ["UDP there and back, p99 ms", "p99", 3]]),
    {
      command: ({ host }, seconds) => {
        const count = Math.ceil(seconds * PINGS_A_SECOND);
        return ["ping", "-n", "-q", "-c", String(count), "-i", String(1 / PINGS_A_SECOND), host];
      },
      read: (output) => ({ mean: Number(/= [\d.]+\/([\d.]+)\//.exec(output)?.[1] ?? NaN) }),
      addressed: true,
      shows: [["ping, mean ms", "mean", 3]],
    },
    client("connections", "echo", 1, [
      ["connections/s, one at a time", "rate", 0],
      ["connections failed, one at a time", "failed", 0],
    ]),
    client("connections", "echo", 32, [
      ["connections/s, 32 at a time", "rate", 0],
      ["connections failed, 32 at a time", "failed", 0],
    ]),
  ];
}

function datagramsAt(megabytes: number): Row {
  const words = ["-u", "-l", String(DATAGRAM_BYTES), "-b", `${8 * megabytes}M`];
  const title = `UDP to the share, of ${megabytes} MB/s`;
  return iperf(words, [[`${title}: MB/s`, "rate", 1], [`${title}: lost`, "loss", 3]]);
}

function iperf(words: readonly string[], shows: Row["shows"]): Row {
  return {
    command: ({ host, ports }, seconds) => {
      const time = ["-t", String(Math.max(1, Math.round(seconds)))];
      return ["iperf3", "-J", "-c", host, "-p", String(ports.iperf), ...time, ...words];
    },
    read: (output) => {
      // deno-lint-ignore no-explicit-any -- as iperf3 says it
      const { end: { sum, sum_received }, error } = JSON.parse(output) as any;
      if (error !== undefined) throw new Error(error);
      const got = sum_received ?? sum;
      return { rate: got.bits_per_second / 8e6, loss: sum?.lost_packets / sum?.packets };
    },
    shows,
  };
}
