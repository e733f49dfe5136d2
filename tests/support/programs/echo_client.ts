/**
 * Asks echoes: `tcp PORT TEXT TIMES` and `udp PORT TEXT TIMES` send the text so many times (over UDP in one datagram) and
 * answer whether it came back; `http ADDRESS PORT URL` answers with the status. Ends with its standard input.
 */
import { Buffer } from "node:buffer";
import http from "node:http";
import process from "node:process";
import { createInterface } from "node:readline";
import { dial, readExactly } from "../tcp.ts";
import { UdpPeer } from "../udp.ts";

const answers: Record<string, (...words: string[]) => Promise<unknown>> = {
  async tcp(port, text, times) {
    const message = Buffer.from(text!.repeat(Number(times)));
    using socket = await dial(Number(port));
    socket.write(message);
    return { echoed: (await readExactly(socket, message.length)).equals(message) };
  },
  async udp(port, text, times) {
    const message = Buffer.from(text!.repeat(Number(times)));
    using peer = await UdpPeer.start();
    for (let tries = 0; tries < 5; tries++) {
      peer.send(message, Number(port));
      const back = await peer.next(2000).catch(() => undefined);
      if (back !== undefined) return { echoed: back.equals(message) };
    }
    return { echoed: false };
  },
  http: (host, port, url) =>
    new Promise((resolve, reject) => {
      const { host: name, pathname } = new URL(url!);
      http.get({ host, port: Number(port), path: pathname, headers: { host: name } }, (res) => {
        res.resume().on("end", () => resolve({ status: res.statusCode }));
      }).on("error", reject);
    }),
};

console.log(JSON.stringify({ ready: true }));
for await (const line of createInterface({ input: process.stdin })) {
  const [what = "", ...words] = line.split(" ");
  console.log(JSON.stringify(await answers[what]?.(...words) ?? null));
}
process.exit(0);
