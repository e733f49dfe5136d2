/** The origin that the measurements are about: a short answer, 100 MB to take, and a sink for uploads. */

const chunk = new Uint8Array(64 * 1024);
const DOWN_BYTES = 100 * 1024 * 1024;

Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(port),
}, (request) => {
  if (request.method === "PUT") return upload(request);
  if (request.url.endsWith("/down")) {
    return new Response(download(), { headers: { "content-length": `${DOWN_BYTES}` } });
  }
  return new Response("hello\n");
});

async function upload(request: Request): Promise<Response> {
  let size = 0;
  for await (const piece of request.body ?? []) size += piece.length;
  return new Response(`${size}\n`);
}

function download(): ReadableStream<Uint8Array> {
  let left = DOWN_BYTES;
  return new ReadableStream({
    pull(controller) {
      controller.enqueue(chunk.slice());
      left -= chunk.length;
      if (left === 0) controller.close();
    },
  });
}
