/** The HTTP side of what identity providers push: who has to go, and that it is so. */
import type { ControlRequest } from '../authenticate/control-request.ts'
import { readForm } from '../authenticate/form.ts'
import { only } from '../authenticate/redirect.ts'
import type { Directory } from '../directory/model.ts'
import type { Reply } from '../http/exchange.ts'
import type { Meant, ProviderSignals, Refused, SecurityEvent, SetError } from '../identity/model.ts'
import { sha256 } from '../lib/crypto.ts'
import { createFaultTally } from '../lib/fault-tally.ts'
import { isSameIssuer, personKey } from '../lib/person.ts'
import { readBody } from '../lib/read-body.ts'
import { readable } from '../lib/readable.ts'
import { parseStrictJson, utf8Text } from '../lib/strict-json.ts'
import { earliest, later, wallTime } from '../lib/time.ts'
import { jsonReply, textReply } from '../pages/reply.ts'
import { CLOCK_TOLERANCE } from '../policy/demand.ts'
import type { Clock, Json, JsonObject, Logger, Store, Table, WallTime } from '../types.ts'
import type { Session, SessionEnd, Sessions } from '../session/model.ts'

/** A token of 16 KiB, and what an urlencoded form puts around it. */
const MOST_BYTES = 20_000
const NO_STORE = [['cache-control', 'no-store']] as const

/** Messages that were worked on, by hash, for as long as they could be good. */
const seenMessages: Table<true> = {
  name: 'provider-messages',
  parse: (value) => (value === true ? value : undefined),
}

export interface SignalReplies {
  /** OIDC Back-Channel Logout 1.0 §2.8. */
  backChannelLogout(request: ControlRequest): Promise<Reply>
  /** Okta's Universal Logout (draft-parecki-oauth-global-token-revocation). */
  universalLogout(request: ControlRequest): Promise<Reply>
  /** Push delivery of security event tokens (RFC 8935). */
  securityEvents(request: ControlRequest): Promise<Reply>
}

export interface SignalDeps {
  readonly signals: ProviderSignals
  readonly sessions: Pick<Sessions, 'list' | 'revoke' | 'revokePerson'>
  readonly directory: Pick<Directory, 'status'>
  readonly store: Pick<Store, 'get' | 'put'>
  readonly clock: Clock
  readonly logger: Logger
  /** For whoever counts. */
  readonly record: (signal: SessionEnd, outcome: 'taken' | 'refused') => void
}

/**
 * A message is remembered once it was worked on: what a fault interrupts (503) the provider sends again, and to end a
 * session twice is no harm. Everything of a request but its token is somebody's claim, and is not logged.
 */
export function createSignalReplies(deps: SignalDeps): SignalReplies {
  const { signals, sessions, directory, store, clock, logger, record } = deps
  const tally = createFaultTally(clock)

  async function isSeen(id: string): Promise<boolean> {
    return (await readable(store.get(seenMessages, sha256(id)))) !== undefined
  }

  async function remember({ id, forgetAt }: { readonly id: string; readonly forgetAt: WallTime }): Promise<void> {
    await store.put(seenMessages, sha256(id), true, { expiresAt: forgetAt })
  }

  async function end(meant: Meant, reason: SessionEnd, requestId: string, before?: WallTime): Promise<number> {
    if (meant.kind === 'person' && before === undefined) return sessions.revokePerson(meant.person, reason)
    let count = 0
    // Without a person this looks at every session: it happens when a provider says so, and not often.
    for await (const session of sessions.list(meant.kind === 'address' ? undefined : meant.person)) {
      if (!isMeant(session, meant) || (before !== undefined && beganAt(session) > before)) continue
      if (await sessions.revoke(session.id, reason, requestId)) count++
    }
    return count
  }

  function refused({ facts }: ControlRequest, signal: SessionEnd, reason: string): void {
    record(signal, 'refused')
    const repeated = tally(signal, reason)
    const fields = { request_id: facts.id, signal, reason, ...(repeated && { repeated }) }
    logger[repeated === undefined ? 'debug' : 'warn'](fields, 'a message of an identity provider was refused')
  }

  function told({ facts }: ControlRequest, signal: SessionEnd, sessions: number): void {
    logger.info({ request_id: facts.id, signal, sessions }, 'an identity provider ended sessions')
  }

  async function work(event: SecurityEvent, request: ControlRequest): Promise<void> {
    const request_id = request.facts.id
    switch (event.kind) {
      case 'sessions-ended': {
        let count = 0
        for (const meant of event.meant) count += await end(meant, 'shared-signal', request_id, event.before)
        return told(request, 'shared-signal', count)
      }
      case 'verification':
        return logger.info({ request_id }, 'the stream of shared signals works')
      case 'stream-updated':
        return logger.warn(
          { request_id, stream_status: event.status },
          'the stream of shared signals was changed by its sender',
        )
      case 'other':
        return logger.debug({ request_id, reason: event.name }, 'a shared signals event that needs no action')
      default:
        return event satisfies never
    }
  }

  return {
    async backChannelLogout(request) {
      const form = await readForm(request.exchange, MOST_BYTES)
      const token = form && only(form, 'logout_token')
      if (token === undefined) return logoutRefused('expected a form with one logout_token')
      const read = await signals.logoutToken(token, clock.now())
      const problem = 'refused' in read ? read.refused : (await isSeen(read.id)) ? 'jti was seen before' : undefined
      if ('refused' in read || problem !== undefined) {
        refused(request, 'back-channel-logout', problem ?? '')
        return logoutRefused('the logout token is not valid')
      }
      record('back-channel-logout', 'taken')
      told(request, 'back-channel-logout', await end(read.meant, 'back-channel-logout', request.facts.id))
      await remember(read)
      return textReply(200, '', NO_STORE)
    },

    async universalLogout(request) {
      const { facts, exchange, origin } = request
      const endpoint = new URL(facts.path, origin)
      const token = bearerOf(exchange.head.headers.first('authorization'))
      const read: Awaited<ReturnType<ProviderSignals['revocationToken']>> =
        token === undefined ? NO_TOKEN : await signals.revocationToken(token, endpoint, clock.now())
      const problem = 'refused' in read ? read.refused : (await isSeen(read.id)) ? 'jti was seen before' : undefined
      if ('refused' in read || problem !== undefined) {
        if (token !== undefined) refused(request, 'universal-logout', problem ?? '')
        const error = token === undefined ? '' : ', error="invalid_token"'
        return jsonReply(401, { error: 'invalid_token' }, [['www-authenticate', `Bearer realm="${origin}"${error}`]])
      }
      const subject = await readSubject(request)
      const meant = subject && meantBy(subject, read.issuers)
      if (!meant) return jsonReply(400, { error: 'invalid_request' })
      record('universal-logout', 'taken')
      let count = 0
      for (const one of meant) count += await end(one, 'universal-logout', facts.id)
      told(request, 'universal-logout', count)
      await remember(read)
      const known = meant.some((one) => one.kind === 'person' && directory.status(one.person) !== 'unknown')
      return count > 0 || known ? { status: 204, headers: NO_STORE, body: '' } : jsonReply(404, { error: 'not_found' })
    },

    async securityEvents(request) {
      const { head, body } = request.exchange
      const { securityEvents: transmitter } = signals
      if (!transmitter) return textReply(404, 'not found\n')
      // First of all: who cannot prove to be the transmitter learns nothing else.
      if (!transmitter.isAuthorized(head.headers.first('authorization'))) {
        refused(request, 'shared-signal', 'the Authorization header is another')
        return eventsRefused('authentication_failed', 'the Authorization header is not the one that was configured')
      }
      const type = head.headers.first('content-type')?.toLowerCase().split(';')[0]?.trim()
      const token = type === 'application/secevent+jwt' ? await readBody(body, MOST_BYTES) : undefined
      if (!token) return eventsRefused('invalid_request', 'expected one application/secevent+jwt')
      const read = await transmitter.read(token.toString('latin1').trim(), clock.now())
      if ('refused' in read) {
        refused(request, 'shared-signal', read.refused)
        return eventsRefused(read.error, read.refused)
      }
      record('shared-signal', 'taken')
      // A transmitter that has not heard our answer sends again: that is no error (RFC 8935 §2).
      if (!(await isSeen(read.id))) {
        for (const event of read.events) await work(event, request)
        await remember(read)
      }
      return { status: 202, headers: NO_STORE, body: '' }
    },
  }
}

const NO_TOKEN: Refused = Object.freeze({ refused: 'no token' })

function logoutRefused(description: string): Reply {
  return jsonReply(400, { error: 'invalid_request', error_description: description })
}

/** RFC 8935 §2.3. */
function eventsRefused(err: SetError, description: string): Reply {
  return jsonReply(400, { err, description }, [['content-language', 'en']])
}

function bearerOf(authorization: string | undefined): string | undefined {
  return /^Bearer ([\w.~+/-]+=*)$/i.exec(authorization ?? '')?.[1]
}

/** `sub_id` of a global token revocation. */
async function readSubject({ exchange: { head, body } }: ControlRequest): Promise<JsonObject | undefined> {
  if (!head.headers.first('content-type')?.toLowerCase().startsWith('application/json')) return undefined
  const sent = await readBody(body, MOST_BYTES)
  const value = sent && parseStrictJson(utf8Text(sent) ?? '')
  return isObject(value) && isObject(value['sub_id']) ? value['sub_id'] : undefined
}

/** undefined: of no format that we read. */
function meantBy({ format, email, iss, sub }: JsonObject, issuers: readonly string[]): readonly Meant[] | undefined {
  if (format === 'email' && isText(email)) return [{ kind: 'address', address: email.toLowerCase(), issuers }]
  if (format !== 'iss_sub' || !isText(iss) || !isText(sub) || !issuers.includes(iss)) return undefined
  // The org and its authorization servers speak of the same people.
  return issuers.map((issuer) => ({ kind: 'person', person: personKey({ issuer, subject: sub }) }))
}

/** By the provider's clock where it told, so that it compares with the instant of an event. One far ahead would outlast every event. */
function beganAt({ identity, signedInAt }: Session): WallTime {
  const { auth_time: authTime } = identity.claims
  if (typeof authTime !== 'number') return signedInAt
  return earliest(wallTime(authTime * 1000), later(signedInAt, CLOCK_TOLERANCE))
}

function isMeant({ person, identity }: Session, meant: Meant): boolean {
  const { issuer, email, claims } = identity
  if (meant.kind === 'person') return person === meant.person
  if (meant.kind === 'provider-session') {
    const isTheirs = meant.person === undefined || meant.person === person
    return isTheirs && isSameIssuer(issuer, meant.issuer) && claims['sid'] === meant.sid
  }
  const login = claims['preferred_username']
  const names = [email, typeof login === 'string' ? login.toLowerCase() : undefined]
  return meant.issuers.some((each) => isSameIssuer(each, issuer)) && names.includes(meant.address)
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isText(value: Json | undefined): value is string {
  return typeof value === 'string' && value !== '' && value.length <= 320
}
