/** Does a request come from one of our pages, or from a script of the application itself, and not from a page of another site (CSRF)? */
import type { KeyRings } from '../lib/key-ring.ts'
import type { Session } from '../session/model.ts'
import type { ControlRequest } from './control-request.ts'
import { readForm } from './form.ts'
import { only } from './redirect.ts'

/** What was sent, read to its end: whoever looks for a session after that finds none that has ended meanwhile. */
export interface Sent {
  readonly fields: URLSearchParams
  /** Does its token, beside the fields or in a header, say that it came from a page of this session on this host? */
  isFrom(session: Session): boolean
}

export interface Csrf {
  /** For forms and scripts of this session on this host. */
  token(session: Session, host: string): string
  read(request: ControlRequest): Promise<Sent>
}

export function createCsrf(keyRings: KeyRings): Csrf {
  const ring = keyRings('csrf')
  return {
    token: (session, host) => ring.mac(session.id, host),
    async read(request) {
      const { facts, exchange, origin } = request
      const fields = (await readForm(exchange)) ?? new URLSearchParams()
      const token = tokenHeader(request) ?? only(fields, 'csrf')
      const isOurs = facts.origin === undefined || facts.origin === origin
      return {
        fields,
        // Made with any of the secrets: a page that stood open during a rotation still works.
        isFrom: (session) => isOurs && token !== undefined && ring.isMac(token, session.id, facts.host),
      }
    },
  }
}

/** Only a script can send the header, and of another site only after a preflight, which we refuse. */
export function isScripted(request: ControlRequest): boolean {
  return tokenHeader(request) !== undefined
}

function tokenHeader({ exchange, generation }: ControlRequest): string | undefined {
  return exchange.head.headers.first(generation.live.naming.csrfHeader)
}
