/** RFC 9110 §15.1, RFC 9112 §4: tabs, spaces, printable characters. What undici could not decode is not one, either. */
const CONTROL = /[^\t\x20-\x7e\x80-\u{10ffff}]/u

/**
 * What is wrong with an answer's head, in words. undici's parser lets these pass: a coding that is not `chunked` ends the
 * body where the connection ends (RFC 9112 §6.3), so a client behind us would take a cut body for a whole one.
 */
export function answerProblem(
  status: number,
  reason: string | undefined,
  raw: readonly Buffer[] = [],
): string | undefined {
  if (status < 100) return 'a status code below 100'
  if (reason !== undefined && CONTROL.test(reason)) return 'a control character in the reason phrase'
  let codings = 0
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as Buffer
    if (name.length !== 17 || name.toString('latin1').toLowerCase() !== 'transfer-encoding') continue
    const coding = (raw[i + 1] as Buffer).toString('latin1').trim().toLowerCase()
    if (coding !== 'chunked' || ++codings > 1) return 'a transfer coding other than chunked'
  }
  return undefined
}

/** Nobody knows when the next event comes. @param raw name, value, name, value. */
export function isEventStream(raw: readonly Buffer[] = []): boolean {
  return raw.some(
    (name, i) =>
      i % 2 === 0 &&
      name.toString('latin1').toLowerCase() === 'content-type' &&
      /^\s*text\/event-stream\s*(?:;|$)/i.test(raw[i + 1]?.toString('latin1') ?? ''),
  )
}
