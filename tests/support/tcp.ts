/** Plain TCP for tests: servers that do what a test says, clients, and how connections end. */
import { Buffer } from "node:buffer";
import net, { type AddressInfo, type Server, type Socket } from "node:net";

/** A server on 127.0.0.1 whose connections may be half closed. */
export class TcpServer implements Disposable {
  readonly port: number;
  /** Connections that are open. */
  readonly sockets = new Set<Socket>();
  /** Connections that came so far. */
  accepted = 0;
  readonly #server: Server;
  readonly #waiting: ((socket: Socket) => void)[] = [];

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on("connection", (socket) => {
      this.accepted++;
      this.sockets.add(socket);
      socket.on("close", () => this.sockets.delete(socket));
      this.#waiting.shift()?.(socket);
    });
  }

  /** `handle` gets every connection; errors of the connection are taken care of. */
  static async start(handle: (socket: Socket) => void = () => {}, port = 0): Promise<TcpServer> {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      socket.on("error", () => {});
      handle(socket);
    });
    await new Promise<void>((resolve, reject) => {
      server.on("error", reject);
      server.listen({ port, host: "127.0.0.1", backlog: 4096 }, resolve);
    });
    return new TcpServer(server);
  }

  /** The next connection that comes. */
  next(): Promise<Socket> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  [Symbol.dispose](): void {
    this.#server.close();
    for (const socket of this.sockets) socket.destroy();
  }
}

/** Connects to a port of this machine. */
export function dial(port: number): Promise<Socket & Disposable> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true });
    socket.once("connect", () => {
      socket.off("error", reject);
      socket.on("error", () => {});
      resolve(Object.assign(socket, { [Symbol.dispose]: () => void socket.destroy() }));
    });
    socket.once("error", reject);
  });
}

/** "end" after FIN, "reset" after anything else. Reads (and drops) what comes unless somebody else does. */
export function endOf(socket: Socket): Promise<"end" | "reset"> {
  return new Promise((resolve) => {
    socket.on("end", () => resolve("end"));
    socket.on("error", () => resolve("reset"));
    socket.on("close", () => resolve("reset"));
    if (socket.listenerCount("data") === 0) socket.resume();
  });
}

/** Everything that comes until FIN. Rejects when the connection breaks before. */
export async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  socket.on("data", (chunk: Uint8Array) => chunks.push(chunk));
  if (await endOf(socket) === "reset") throw new Error(`reset after ${Buffer.concat(chunks).length} bytes`);
  return Buffer.concat(chunks);
}

/** Exactly the next `count` bytes. Rejects when the connection ends or breaks before. */
export function readExactly(socket: Socket, count: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const cleanUp = () => {
      socket.off("readable", read);
      socket.off("end", early);
      socket.off("close", early);
    };
    const read = () => {
      const bytes: Buffer | null = socket.read(count);
      if (bytes === null) return;
      cleanUp();
      if (bytes.length === count) resolve(bytes);
      else reject(new Error(`ended after ${bytes.length} of ${count} bytes`));
    };
    const early = () => {
      cleanUp();
      reject(new Error(`ended before ${count} bytes`));
    };
    socket.on("readable", read);
    socket.on("end", early);
    socket.on("close", early);
    read();
  });
}

/** Writes all of it, as fast as it is taken. Rejects when the connection breaks. */
export function writeAll(socket: Socket, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => socket.write(bytes, (error) => error ? reject(error) : resolve()));
}
