/**
 * Listens on TCP ports: `open_ports.ts PORT...`, on 127.0.0.1, each of which gives back what comes in, also after the
 * other side has ended. Says `{"ready":true}` when all are open.
 */
import net from "node:net";
import process from "node:process";

await Promise.all(
  process.argv.slice(2).map((port) =>
    new Promise<void>((resolve) => {
      const server = net.createServer({ allowHalfOpen: true }, (socket) => {
        socket.on("error", () => {});
        socket.pipe(socket);
      });
      server.listen({ host: "127.0.0.1", port: Number(port), backlog: 4096 }, resolve);
    })
  ),
);
console.log(JSON.stringify({ ready: true }));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
