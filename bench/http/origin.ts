/** The origin that the measurements are about: a short answer, 100 MB to take, and a sink for uploads. */
import http from "node:http";
import type { AddressInfo } from "node:net";

const chunk = new Uint8Array(64 * 1024);
const DOWN_BYTES = 100 * 1024 * 1024;

const server = http.createServer((req, res) => {
  if (req.url === "/down") return down(res);
  if (req.method === "PUT") {
    let size = 0;
    req.on("data", (piece: Uint8Array) => size += piece.length);
    req.on("end", () => res.end(`${size}\n`));
    return;
  }
  res.writeHead(200, { "content-type": "text/plain", "content-length": 6 });
  res.end("hello\n");
});

function down(res: http.ServerResponse): void {
  res.writeHead(200, { "content-type": "application/octet-stream", "content-length": DOWN_BYTES });
  let sent = 0;
  const more = () => {
    while (sent < DOWN_BYTES) {
      sent += chunk.length;
      if (!res.write(chunk)) return;
    }
    res.end();
  };
  res.on("drain", more);
  more();
}

server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));
