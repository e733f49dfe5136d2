/** What goes wrong, as SFTP says it. */
import { systemCode } from "../../../home/files.ts";

export const Status = {
  ok: 0,
  eof: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  badMessage: 5,
  unsupported: 8,
} as const;

export type StatusCode = (typeof Status)[keyof typeof Status];

/** A request that gets an answer other than it hoped for. */
export class SftpError extends Error {
  readonly status: StatusCode;

  /** @param message for whoever sits at the client, in the words that SFTP servers use */
  constructor(status: StatusCode, message: string) {
    super(message);
    this.name = "SftpError";
    this.status = status;
  }
}

const KNOWN: Readonly<Record<string, readonly [StatusCode, string]>> = {
  ENOENT: [Status.noSuchFile, "No such file"],
  ENOTDIR: [Status.noSuchFile, "Not a directory"],
  ELOOP: [Status.noSuchFile, "Too many symbolic links"],
  EBADF: [Status.failure, "Not open"],
  EACCES: [Status.permissionDenied, "Permission denied"],
  EPERM: [Status.permissionDenied, "Operation not permitted"],
  EROFS: [Status.permissionDenied, "Read-only file system"],
  EFAULT: [Status.permissionDenied, "Permission denied"],
  ENAMETOOLONG: [Status.badMessage, "The name is too long"],
  EINVAL: [Status.badMessage, "Invalid argument"],
  ENOSYS: [Status.unsupported, "Operation not supported"],
  EOPNOTSUPP: [Status.unsupported, "Operation not supported"],
  ENOTSUP: [Status.unsupported, "Operation not supported"],
  EEXIST: [Status.failure, "It exists already"],
  ENOTEMPTY: [Status.failure, "The directory is not empty"],
  EISDIR: [Status.failure, "Is a directory"],
  ENOSPC: [Status.failure, "No space is left"],
  EDQUOT: [Status.failure, "The quota is used up"],
  EXDEV: [Status.failure, "It is on another disk"],
  EBUSY: [Status.failure, "It is in use"],
  ETXTBSY: [Status.failure, "It is in use"],
  EFBIG: [Status.failure, "The file is too large"],
  EMFILE: [Status.failure, "Too many files are open"],
  ENFILE: [Status.failure, "Too many files are open"],
};

/** The answer to a request that failed. */
export function sftpError(error: unknown): SftpError {
  if (error instanceof SftpError) return error;
  const [status, message] = KNOWN[systemCode(error) ?? ""] ?? [Status.failure, "Failure"];
  return new SftpError(status, message);
}
