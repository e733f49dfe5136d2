import type { ProblemCode } from "../../shared/problem/catalogue.ts";
import { shareProblem } from "../../shared/problem/problem.ts";

/** A problem of the catalogue as a Response, in the form that the request asks for. */
export function problemResponse(code: ProblemCode, request: Request, share?: string): Response {
  const { method, headers } = request;
  const answer = shareProblem(code, { method, accept: headers.get("accept") }, share);
  return new Response(answer.body, { status: answer.status, headers: answer.headers });
}
