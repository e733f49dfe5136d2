/** Asks the DNS servers of this machine for others. */
import { connect, isIP } from "node:net";
import {
  DNS_ANSWER_MAX_BYTES,
  DNS_FORWARD_TIMEOUT_MS,
  DNS_FORWARDS_MAX,
  DNS_SERVER_TIMEOUT_MS,
} from "../../../shared/limits.ts";
import { secureRandom } from "../../../shared/random.ts";
import { bindUdp, type UdpPeer, type UdpSocket } from "../../net/udp.ts";
import { isAnswerTo, isCut, RCODE, rcodeOf, withId } from "./dns_message.ts";
import { type DnsForward, framed } from "./dns_server.ts";
import { dnsServers } from "./resolv_conf.ts";

/** What is asked: the message under a number of ours, and the question that must come back. */
interface Asked {
  readonly id: number;
  readonly message: Uint8Array;
  readonly question: Uint8Array;
}

/**
 * Forwards to the servers that a resolv.conf names, one after the other, over UDP and over TCP what is too long for it.
 * @param port of the servers
 */
export function dnsForwarder(resolvConf: string, port = 53): DnsForward {
  const servers = dnsServers(resolvConf).map((host) => ({ host, port }));
  let inFlight = 0;
  return async (bytes, { id, question }) => {
    if (inFlight >= DNS_FORWARDS_MAX) return undefined;
    inFlight++;
    try {
      // Another number and another port for each question: whoever would lie has to guess both.
      const [high, low] = secureRandom(2) as Uint8Array & [number, number];
      const own = high << 8 | low;
      const asked = { id: own, message: withId(bytes, own), question };
      const answer = await askAll(servers, asked);
      return answer && withId(answer, id);
    } finally {
      inFlight--;
    }
  };
}

/** The first answer that says something; else the last one. Never rejects. */
async function askAll(servers: readonly UdpPeer[], asked: Asked): Promise<Uint8Array | undefined> {
  const until = performance.now() + DNS_FORWARD_TIMEOUT_MS;
  let last: Uint8Array | undefined;
  for (const server of servers) {
    const patience = () => Math.min(DNS_SERVER_TIMEOUT_MS, until - performance.now());
    if (patience() <= 0) break;
    let answer = await overUdp(server, asked, patience());
    // Where TCP is blocked, half an answer is more than none: it says of itself that it is one.
    if (answer !== undefined && isCut(answer)) answer = await overTcp(server, asked, patience()) ?? answer;
    if (answer === undefined) continue;
    const rcode = rcodeOf(answer);
    if (rcode !== RCODE.servFail && rcode !== RCODE.refused && rcode !== RCODE.notImp) return answer;
    last = answer;
  }
  return last;
}

async function overUdp(
  server: UdpPeer,
  { id, message, question }: Asked,
  patienceMs: number,
): Promise<Uint8Array | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let socket: UdpSocket | undefined;
  try {
    let answered: (bytes: Uint8Array | undefined) => void;
    const answer = new Promise<Uint8Array | undefined>((resolve) => answered = resolve);
    const any = isIP(server.host) === 6 ? "::" : "0.0.0.0";
    socket = await bindUdp({ host: any, port: 0 }, (bytes, from) => {
      if (from.port === server.port && isSameHost(from.host, server.host) && isAnswerTo(bytes, id, question)) {
        answered(bytes);
      }
    });
    timer = setTimeout(() => answered(undefined), patienceMs);
    socket.send(message.slice(), server);
    return await answer;
  } catch {
    // No sockets left, or no such family here: the next server may do.
    return undefined;
  } finally {
    clearTimeout(timer);
    socket?.close();
  }
}

function overTcp(
  { host, port }: UdpPeer,
  { id, message, question }: Asked,
  patienceMs: number,
): Promise<Uint8Array | undefined> {
  if (patienceMs <= 0) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const done = (bytes?: Uint8Array) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(bytes);
    };
    const timer = setTimeout(done, patienceMs);
    const buffer = new Uint8Array(2 + DNS_ANSWER_MAX_BYTES);
    let length = 0;
    socket.on("error", () => done()).on("close", () => done());
    socket.on("connect", () => socket.write(framed(message)));
    socket.on("data", (chunk: Uint8Array) => {
      const part = chunk.subarray(0, buffer.length - length);
      buffer.set(part, length);
      length += part.length;
      const whole = 2 + (buffer[0]! << 8 | buffer[1]!);
      if (length < 2 || length < whole) return;
      const bytes = buffer.slice(2, whole);
      done(isAnswerTo(bytes, id, question) ? bytes : undefined);
    });
  });
}

/** `::1` and `0:0:0:0:0:0:0:1` are one host. */
function isSameHost(a: string, b: string): boolean {
  return a === b || isIP(a) === 6 && isIP(b) === 6 && new URL(`http://[${a}]`).host === new URL(`http://[${b}]`).host;
}
