/** What Okta tells applications of its own accord: Universal Logout and shared signals (okta-api.md#sign-out-signals, #shared-signals). */
import { randomBytes, sign } from 'node:crypto'
import type { JsonObject } from '../../../src/types.ts'
import type { Clock } from '../clock.ts'
import type { Outbound } from '../http/outbound.ts'
import type { Occurrence, Person } from '../model/types.ts'
import type { Keys } from '../oidc/keys.ts'

const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/'
const VERIFICATION = 'https://schemas.openid.net/secevent/ssf/event-type/verification'
const TIMEOUT = 10_000

/** Where events are pushed to. One stream an org, of those that Okta allows. */
export interface Stream {
  readonly id: string
  readonly endpoint: string
  readonly audience: string
  readonly authorization: string
}

export interface SignalSender {
  /** Events are sent there from now on. */
  stream(stream: Omit<Stream, 'id'>): Stream
  /** Sends a verification event; the receiver's status, or why there is none. */
  verify(state: string): Promise<number | string>
  /** Global token revocation of one person; the receiver's status, or why there is none. `server`: `org`, or of a custom issuer. */
  universalLogout(
    person: Person,
    to: {
      readonly endpoint: string
      readonly clientId: string
      readonly format: 'email' | 'iss_sub'
      readonly server?: string
    },
  ): Promise<number | string>
  /** Anything, signed with the key that signs ID tokens. */
  sign(header: JsonObject, claims: JsonObject, server?: string): Promise<string>
  accept(occurrence: Occurrence): void
  /** Waits for the receivers. */
  settle(): Promise<void>
  /** Statuses of the events that were pushed, oldest first. */
  answers(): readonly (number | string)[]
}

export function createSignalSender(deps: {
  readonly url: string
  readonly clock: Clock
  readonly outbound: Outbound
  readonly keysOf: (serverId: string) => Keys
}): SignalSender {
  const { url, clock, outbound, keysOf } = deps
  let stream: Stream | undefined
  let sending: Promise<void> = Promise.resolve()
  const answers: (number | string)[] = []
  const now = (): number => Math.floor(clock.now() / 1000)
  const jti = (): string => randomBytes(16).toString('hex')
  const issuerOf = (server: string): string => (server === 'org' ? url : `${url}/oauth2/${server}`)

  async function signed(header: JsonObject, claims: JsonObject, server = 'org'): Promise<string> {
    const key = await keysOf(server).current()
    const input = [{ kid: key.kid, alg: 'RS256', ...header }, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.')
    return `${input}.${sign('RSA-SHA256', Buffer.from(input), key.privateKey).toString('base64url')}`
  }

  async function post(to: string, headers: Readonly<Record<string, string>>, body: string): Promise<number | string> {
    const answer = await outbound.send({ method: 'POST', url: to, headers, body, timeout: TIMEOUT })
    return answer.kind === 'answer' ? answer.status : answer.reason
  }

  async function push({ endpoint, audience, authorization }: Stream, claims: JsonObject): Promise<number | string> {
    const set = await signed({ typ: 'secevent+jwt' }, { iss: url, aud: audience, jti: jti(), iat: now(), ...claims })
    return post(
      endpoint,
      { 'content-type': 'application/secevent+jwt', accept: 'application/json', authorization },
      set,
    )
  }

  return {
    stream: (wanted) => (stream = { id: `esc${jti().slice(0, 17)}`, ...wanted }),

    verify(state) {
      if (!stream) throw new TypeError('there is no stream')
      const claims = { sub_id: { format: 'opaque', id: stream.id }, events: { [VERIFICATION]: { state } } }
      return push(stream, claims)
    },

    async universalLogout(person, { endpoint, clientId, format, server = 'org' }) {
      const claims = {
        jti: jti(),
        iss: issuerOf(server),
        sub: clientId,
        aud: endpoint,
        iat: now(),
        nbf: now() - 300,
        exp: now() + 300,
      }
      const token = await signed({ typ: 'global-token-revocation+jwt' }, claims, server)
      const subject =
        format === 'email' ? { format, email: person.email } : { format, iss: issuerOf(server), sub: person.id }
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` }
      return post(endpoint, headers, JSON.stringify({ sub_id: subject }))
    },

    sign: signed,

    /** The subject stands in the event, and the instant is in milliseconds: so Okta's events are. */
    accept({ eventType, personId, at }) {
      const to = stream
      const event = personId === undefined || !to ? undefined : eventFor(eventType)
      if (!to || !event) return
      const [name, more] = event
      const subject = { format: 'iss_sub', iss: url, sub: personId ?? '' }
      const claims = { events: { [CAEP + name]: { subject, event_timestamp: at, ...more } } }
      sending = sending.then(async () => void answers.push(await push(to, claims)))
    },

    settle: () => sending,
    answers: () => answers,
  }
}

/** Only what a person does: deactivation and groups are told by other means. */
function eventFor(eventType: string): readonly [name: string, more: JsonObject] | undefined {
  if (eventType === 'user.session.end') return ['session-revoked', { reason_admin: { en: 'User logout from Okta' } }]
  if (eventType === 'user.mfa.factor.activate')
    return ['credential-change', { credential_type: 'app', change_type: 'create' }]
  if (eventType.startsWith('user.mfa.factor.'))
    return ['credential-change', { credential_type: 'app', change_type: 'revoke' }]
  return eventType === 'user.account.update_password' || eventType === 'user.account.reset_password'
    ? ['credential-change', { credential_type: 'password', change_type: 'update' }]
    : undefined
}
