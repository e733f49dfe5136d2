/** A measurement of client.ts, and the lines that are printed of it. */
export interface Row {
  /** As client.ts calls it. */
  readonly measure: string;
  /** Streams, connections at a time, or datagrams, as client.ts takes it. */
  readonly count: number;
  /** Which port of the server it talks to. */
  readonly server: "source" | "sink" | "echo" | "udp";
  /** Title, field of the result, digits behind the point. */
  readonly shows: readonly (readonly [title: string, field: string, digits: number])[];
}

export const ROWS: readonly Row[] = [
  { measure: "down", count: 1, server: "source", shows: [["1 stream down, MB/s", "rate", 0]] },
  { measure: "up", count: 1, server: "sink", shows: [["1 stream up, MB/s", "rate", 0]] },
  { measure: "down", count: 8, server: "source", shows: [["8 streams down, MB/s", "rate", 0]] },
  { measure: "up", count: 8, server: "sink", shows: [["8 streams up, MB/s", "rate", 0]] },
  {
    measure: "roundTrips",
    count: 1,
    server: "echo",
    shows: [["64 bytes there and back, p50 ms", "p50", 3], ["64 bytes there and back, p99 ms", "p99", 3]],
  },
  {
    measure: "connections",
    count: 1,
    server: "echo",
    shows: [["connections/s, one at a time", "rate", 0], ["connections failed, one at a time", "failed", 0]],
  },
  {
    measure: "connections",
    count: 32,
    server: "echo",
    shows: [["connections/s, 32 at a time", "rate", 0], ["connections failed, 32 at a time", "failed", 0]],
  },
  {
    measure: "udpEcho",
    count: 1,
    server: "udp",
    shows: [["datagram there and back, p50 ms", "p50", 3], ["datagram there and back, p99 ms", "p99", 3]],
  },
  {
    measure: "udpEcho",
    count: 64,
    server: "udp",
    shows: [["datagrams there and back/s, 64 out", "rate", 0], ["datagrams lost of them", "loss", 4]],
  },
  {
    measure: "udpLoss",
    count: 5000,
    server: "udp",
    shows: [["datagrams lost of 5,000/s one way", "loss", 4]],
  },
];
