/** Does a request come from one of our pages, or from a script of the application itself, and not from a page of another site (CSRF)? */
import type { KeyRings } from '../lib/key-ring.ts'
import type { Session } from '../session/model.ts'
import type { ControlRequest } from './control-request.ts'
import { readForm } from './form.ts'
import { only } from './redirect.ts'

export interface Csrf {
  /** For forms and scripts of this session on this host. */
  token(session: Session, host: string): string
  /** The fields of a form with a right token, or beside a header with one; undefined: it is not known who sent it. */
  read(request: ControlRequest, session: Session): Promise<URLSearchParams | undefined>
}

export function createCsrf(keyRings: KeyRings): Csrf {
  const ring = keyRings('csrf')
  return {
    token: (session, host) => ring.mac(session.id, host),
    async read(request, session) {
      const { facts, exchange, origin } = request
      if (facts.origin !== undefined && facts.origin !== origin) return undefined
      const form = await readForm(exchange)
      const token = tokenHeader(request) ?? (form && only(form, 'csrf'))
      // Made with any of the secrets: a page that stood open during a rotation still works.
      const isRight = token !== undefined && ring.isMac(token, session.id, facts.host)
      return isRight ? (form ?? new URLSearchParams()) : undefined
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
