/** RFC 9110 §9.2.2, without TRACE. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

export interface Attempt {
  readonly method: string
  /** What was read of a body is gone, whatever became of it. */
  readonly hasBody: boolean
  /** Has a byte of an answer come? */
  readonly heard: boolean
  /** Was it the first one? */
  readonly first: boolean
  /** Did it fail on a connection that had served before, so that the upstream may simply have closed it? */
  readonly stale: boolean
}

/** May the same request be sent once more? Only when nobody can tell that it was sent twice (RFC 9112 §9.3.1). */
export function mayRepeat({ method, hasBody, heard, first, stale }: Attempt): boolean {
  return first && stale && !heard && !hasBody && IDEMPOTENT.has(method)
}
