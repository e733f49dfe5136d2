/** The origin that the measurements are about: a short answer, 100 MB to take, and a sink for uploads. */

const body = new Uint8Array(100 * 1024 * 1024);

Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(port),
}, (request) => {
  if (request.method === "PUT") return upload(request);
  if (request.url.endsWith("/down")) {
    return new Response(body);
  }
  return new Response("hello\n");
});

async function upload(request: Request): Promise<Response> {
  let size = 0;
  for await (const piece of request.body ?? []) size += piece.length;
  return new Response(`${size}\n`);
}
