/** What a refused request asked for, for the log: never a query, nor what stands before an `@`. Nobody decides by it. */
export interface Asked {
  readonly method?: string | undefined
  readonly host?: string | undefined
  readonly path?: string | undefined
}

/** @param target as it came, in any form; @param host value of `Host`, or `:authority`. */
export function askedFor(method: string | undefined, target: string | undefined, host: string | undefined): Asked {
  const [, authority, rest = ''] = /^(?:[a-z][a-z0-9+.-]*:\/\/+([^/?#]*))?([^?#]*)/i.exec(target ?? '') ?? []
  // What is no path may be an authority in any form: `me:password@host:443`, `//me:password@host/`.
  const path = /^\/(?!\/)/.test(rest) ? rest : rest.replace(/^.*@/s, '')
  return {
    method,
    host: (host ?? authority)?.replace(/^.*@/s, '').replace(/[/?#].*$/s, ''),
    path: target === undefined ? undefined : path,
  }
}

/** Longer ones are cut in the log anyway. */
const MOST = 16_384
const LINE = /^[\r\n]*([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32})(?: +([^\s]+))?/
const HOST = /\n *host *:[ \t]*([^\r\n]*?)[ \t]*(?:\r?\n|$)/i

/** @param head the bytes that came, in Latin-1: perhaps only the beginning of a head, or none. */
export function askedIn(head: string): Asked {
  const begin = head.slice(0, MOST)
  const [, method, target] = LINE.exec(begin) ?? []
  return askedFor(method, target, HOST.exec(begin)?.[1])
}
