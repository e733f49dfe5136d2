/** Asks a server whether it is there and whether it speaks HTTP or HTTPS. */
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { PROBE_ANSWER_TIMEOUT_MS, PROBE_CONNECT_TIMEOUT_MS } from "../../shared/limits.ts";
import { hostPort } from "./target.ts";

/** What was found behind a host and port. */
export type Probe =
  /** Nothing accepts connections there. */
  | { readonly kind: "nothing" }
  /** Something accepts connections but speaks neither HTTP nor HTTPS. */
  | { readonly kind: "other"; readonly address: string }
  | {
    readonly kind: "http";
    readonly protocol: "http:" | "https:";
    /** The address that answered: for `localhost`, either 127.0.0.1 or ::1. */
    readonly address: string;
  };

export interface ProbeOptions {
  readonly connectTimeoutMs?: number;
  readonly answerTimeoutMs?: number;
}

/**
 * Probes `host`, for `localhost` both address families. One `HEAD /` is sent, and a TLS handshake tried where the answer
 * to it is not plain HTTP. Never rejects.
 */
export async function probe(host: string, port: number, options: ProbeOptions = {}): Promise<Probe> {
  // A development server may listen on only one of them, and which one differs from tool to tool.
  const addresses = host === "localhost" ? ["127.0.0.1", "::1"] : [host];
  const found = await Promise.all(addresses.map((address) => probeAddress(host, address, port, options)));
  return found.find(({ kind }) => kind === "http") ?? found.find(({ kind }) => kind === "other") ?? { kind: "nothing" };
}

async function probeAddress(host: string, address: string, port: number, options: ProbeOptions): Promise<Probe> {
  switch (await askPlain(host, address, port, options)) {
    case "refused":
      return { kind: "nothing" };
    case "http":
      return { kind: "http", protocol: "http:", address };
    case "bad-request": {
      // A server may say in plain HTTP that it wants HTTPS.
      const protocol = await askTls(host, address, port, options) ? "https:" : "http:";
      return { kind: "http", protocol, address };
    }
    case "other":
      return await askTls(host, address, port, options)
        ? { kind: "http", protocol: "https:", address }
        : { kind: "other", address };
  }
}

type PlainAnswer = "refused" | "http" | "bad-request" | "other";

/** The start of an HTTP answer: "HTTP/1.1 200". */
const STATUS_LINE_CHARS = 12;

function askPlain(host: string, address: string, port: number, options: ProbeOptions): Promise<PlainAnswer> {
  return new Promise((resolve) => {
    const socket = connectTcp({ host: address, port });
    let heard = "";
    let connected = false;
    const end = (answer: PlainAnswer) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    let timer = setTimeout(() => end("refused"), options.connectTimeoutMs ?? PROBE_CONNECT_TIMEOUT_MS);
    socket.on("connect", () => {
      connected = true;
      clearTimeout(timer);
      // Who accepts and then thinks for long is most likely building a page.
      timer = setTimeout(
        () => end(heard === "" ? "http" : "other"),
        options.answerTimeoutMs ?? PROBE_ANSWER_TIMEOUT_MS,
      );
      socket.write(
        `HEAD / HTTP/1.1\r\nHost: ${
          hostPort(host, port)
        }\r\nUser-Agent: spanway\r\nAccept: */*\r\nConnection: close\r\n\r\n`,
      );
    });
    socket.on("data", (chunk) => {
      heard += chunk.toString("latin1");
      if (!"HTTP/1.".startsWith(heard.slice(0, 7))) end("other");
      else if (heard.length >= STATUS_LINE_CHARS) end(heard.slice(9, 12) === "400" ? "bad-request" : "http");
    });
    socket.on("end", () => end("other"));
    socket.on("error", () => end(connected ? "other" : "refused"));
  });
}

function askTls(host: string, address: string, port: number, options: ProbeOptions): Promise<boolean> {
  return new Promise((resolve) => {
    // Only whether it is TLS is of interest here; the certificate is checked when requests are carried.
    const socket: Socket = connectTls({
      host: address,
      port,
      rejectUnauthorized: false,
      ALPNProtocols: ["http/1.1"],
      ...(isIP(host) ? {} : { servername: host }),
    }, () => end(true));
    const timer = setTimeout(() => end(false), options.answerTimeoutMs ?? PROBE_ANSWER_TIMEOUT_MS);
    const end = (tls: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(tls);
    };
    socket.on("error", () => end(false));
    socket.on("close", () => end(false));
  });
}
