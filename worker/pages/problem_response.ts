import { knownProblem, type ProblemCode } from "../../shared/problem/catalogue.ts";
import { problem, type ProblemResponse, shareProblem } from "../../shared/problem/problem.ts";

/** A problem of the catalogue as a Response, in the form that the request asks for. */
export function problemResponse(code: ProblemCode, request: Request, share?: string): Response {
  return asResponse(shareProblem(code, facts(request), share));
}

/** The problem `upload-too-large`, with the size that is taken. */
export function uploadTooLarge(request: Request, share: string, maxBytes: number): Response {
  const { status, text } = knownProblem("upload-too-large", share);
  const size = maxBytes < 1e6 ? `${maxBytes} bytes` : `${Math.floor(maxBytes / 1e6)} MB`;
  return asResponse(problem(status, { ...text, detail: `${text.detail} Here it is ${size}.` }, facts(request)));
}

function facts({ method, headers }: Request) {
  return { method, accept: headers.get("accept") };
}

function asResponse({ status, headers, body }: ProblemResponse): Response {
  return new Response(body, { status, headers });
}
