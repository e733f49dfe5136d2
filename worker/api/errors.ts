import { ServiceError, type ServiceErrorCode, SpanwayError, TicketError } from "../../shared/errors.ts";
import { BodyTooLargeError } from "./body.ts";

const STATUS: Readonly<Record<ServiceErrorCode, number>> = {
  "bad-request": 400,
  "name-invalid": 422,
  "name-taken": 409,
  "not-allowed": 403,
  "rate-limited": 429,
  "share-unknown": 404,
  "share-expired": 410,
  "share-ended": 410,
  "share-away": 503,
  "ssh-none": 404,
  "ssh-used": 410,
  unavailable: 503,
};

/** The answer of the API to anything that was thrown. What is not ours is logged and told without details. */
export function errorResponse(error: unknown): Response {
  if (error instanceof TicketError) return errorJson(401, error);
  if (error instanceof BodyTooLargeError) return errorJson(413, error);
  if (error instanceof ServiceError) return errorJson(STATUS[error.code], error);
  console.error(error);
  if (error instanceof SpanwayError) return errorJson(500, error);
  return errorJson(500, { code: "internal", message: "The service made a mistake.", hint: "Try again." });
}

/** `{"error":{"code","message","hint"?}}` with its status. */
export function errorJson(
  status: number,
  error: { readonly code: string; readonly message: string; readonly hint: string | undefined },
): Response {
  const { code, message, hint } = error;
  const headers: Record<string, string> = { "cache-control": "no-store" };
  if (status === 429 || status === 503) headers["retry-after"] = "5";
  if (status === 426) headers["upgrade"] = "websocket";
  if (status === 401) headers["www-authenticate"] = "Spanway";
  return Response.json({ error: { code, message, ...(hint === undefined ? {} : { hint }) } }, { status, headers });
}
