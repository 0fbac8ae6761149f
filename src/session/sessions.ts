import { AppError } from '../errors.ts'
import { readCookie } from '../lib/cookie.ts'
import { randomId } from '../lib/crypto.ts'
import { PROGRAM_TOKEN_PREFIX } from '../lib/program-token.ts'
import { createFollowed } from '../lib/followed.ts'
import { createFreshness, OF_THIS_MACHINE, type Trust } from '../lib/freshness.ts'
import { personKey } from '../lib/person.ts'
import type { KeyRings } from '../lib/key-ring.ts'
import type { Audit } from '../lib/audit.ts'
import { readable } from '../lib/readable.ts'
import type { Clock, Identity, SessionId, Span, Store, Tokens, WallTime } from '../types.ts'
import type { Session, SessionEnd, Sessions, SignInOrigin } from './model.ts'
import { createCookieCheck } from './cookie-check.ts'
import { ENDED_KEPT, forgetEnd, noteEnd } from './ends.ts'
import { postErrand } from './errands.ts'
import { endOf, isNews, reasonOf } from './life.ts'
import { planRefresh } from './refresh-plan.ts'
import { sessionsTable } from './tables.ts'
import { earliest, later } from '../lib/time.ts'

/** No cookie can be called so: a token is no cookie, and the other way round. */
const PROGRAM = 'program token'
/** Hosts that are kept to be shown, the newest. */
const MAX_PROGRAMS = 32
/** Those of a few seconds alone (lib/freshness.ts), with the tokens of a real provider 6 KiB each. */
const MAX_CACHED = 32_768
/** Writers that meet on one session: the refreshes of a few replicas. */
const ATTEMPTS = 8
/** Real ones are shorter; what is longer says no more. */
const MAX_USER_AGENT = 300

/**
 * Sessions: cookie ⇄ store. `maxCached`: sessions kept in memory between requests. `audit`: hears of each begin and end.
 * `trust`: how long they are believed.
 * `maxClaimsAge`: of a provider whose answers alone tell groups: how old those may be.
 */
export function createSessions(deps: {
  readonly store: Store
  readonly clock: Clock
  readonly keyRings: KeyRings
  readonly audit: Audit
  readonly maxClaimsAge?: (provider: string | undefined) => Span | undefined
  readonly maxCached?: number
  readonly trust?: Trust
}): Sessions {
  const { store, clock, keyRings, audit, maxClaimsAge, maxCached = MAX_CACHED, trust = OF_THIS_MACHINE } = deps
  const freshness = createFreshness({ store, clock, trust })
  const cookies = createCookieCheck(keyRings, maxCached)
  const ring = keyRings('session tokens')
  const noting = new Set<SessionId>()
  const endListeners = new Set<(id: SessionId) => void>()

  const followed = createFollowed({
    store,
    table: sessionsTable,
    toValue: (id, session) => (session.id === id ? session : undefined),
    capacity: maxCached,
    holdsAbsent: false,
    freshness,
    clock,
    onDelete(id) {
      for (const listener of endListeners) listener(id)
    },
  })

  /** Ids with a good MAC, in the order in which the browser sent them. */
  function signedIds(cookie: string, name: string, host: string): SessionId[] {
    const ids: SessionId[] = []
    for (const value of readCookie(cookie, name)) {
      const id = cookies.verify(value, name, host)
      if (id !== undefined) ids.push(id)
    }
    return ids
  }

  function cached(id: SessionId, now: WallTime): Session | undefined {
    const session = followed.peek(id)?.value
    return session && endOf(session) > now ? session : undefined
  }

  async function firstLive(ids: readonly SessionId[], now: WallTime): Promise<Session | undefined> {
    for (const id of ids) {
      const session = cached(id, now) ?? (await followed.load(id))
      if (session && endOf(session) > now) return session
    }
    return undefined
  }

  const sealTokens = (tokens: Tokens, id: SessionId): string => ring.seal(JSON.stringify(tokens), id)

  function tokensOf({ id, sealedTokens }: Pick<Session, 'id' | 'sealedTokens'>): Tokens | undefined {
    const text = ring.open(sealedTokens, id)
    // Sealed by us for this session: what opens is what `sealTokens` was given.
    return text === undefined ? undefined : (JSON.parse(text) as Tokens)
  }

  /** Best effort: the session is over in any case. */
  async function discardToken({ id, provider, identity: { issuer }, sealedTokens }: Session): Promise<void> {
    const errand = { kind: 'revoke', id, issuer, sealedTokens, ...(provider !== undefined && { provider }) } as const
    await postErrand(store, clock, errand).catch(() => undefined)
  }

  /** What `next` makes of the record as it is now; whoever writes at the same time is not overwritten. undefined: it has ended. */
  async function update(id: SessionId, next: (current: Session) => Session): Promise<Session | undefined> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const current = await readable(store.get(sessionsTable, id))
      // Ended meanwhile: what comes home late must not bring it back.
      if (!current || endOf(current.value) <= clock.now()) return undefined
      const session = next(current.value)
      const when = { ifVersion: current.version, expiresAt: later(endOf(session), ENDED_KEPT) }
      if (!(await store.put(sessionsTable, id, session, when))) continue
      if (endOf(session) !== endOf(current.value)) await noteEnd(store, session)
      return session
    }
    throw new AppError('ERR_STORE_UNAVAILABLE', `session: ${ATTEMPTS} attempts to change it met other writers`)
  }

  /** As `update`, unless the person has signed in again since: then what a refresh brings is about the older tokens. */
  function updateSame({ id, signedInAt }: Session, next: (current: Session) => Session): Promise<Session | undefined> {
    return update(id, (current) => (current.signedInAt === signedInAt ? next(current) : current))
  }

  /** What the provider said just now. */
  function told(id: SessionId, provider: string | undefined, tokens: Tokens, identity: Identity) {
    const refresh = planRefresh(tokens, clock.now(), maxClaimsAge?.(provider))
    return { identity, sealedTokens: sealTokens(tokens, id), ...(refresh && { refresh }) }
  }

  /** New tokens of the same person. */
  function withTokens(current: Session, tokens: Tokens, identity: Identity): Session {
    if (personKey(identity) !== current.person) throw new TypeError('session: a refresh changed the person')
    const { refresh: _, ...rest } = current
    return { ...rest, ...told(current.id, current.provider, tokens, identity) }
  }

  /** Of all who end it exactly one gets it. One that cannot be read (damaged) is nobody's, and goes as well. */
  async function end(id: SessionId, reason: SessionEnd, requestId?: string): Promise<Session | undefined> {
    let session: Session | undefined
    try {
      session = await store.take(sessionsTable, id)
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'ERR_STORE_CORRUPT') throw error
      await store.delete(sessionsTable, id)
    }
    if (!session) return undefined
    await forgetEnd(store, id).catch(() => undefined)
    audit({ event: 'session-end', reason, session, ...(requestId !== undefined && { requestId }) })
    if (session.refresh && reason !== 'refresh-refused') await discardToken(session)
    return session
  }

  return {
    signedIds,
    read(cookie, name, host, now) {
      const ids = signedIds(cookie, name, host)
      return ids[0] === undefined ? undefined : (cached(ids[0], now) ?? firstLive(ids, now))
    },
    async create(identity, tokens, expiresAt, from, beside) {
      const id = randomId()
      const now = clock.now()
      const session: Session = {
        id,
        person: personKey(identity),
        ...(from && { provider: from.provider }),
        createdAt: now,
        signedInAt: now,
        lastSeenAt: now,
        expiresAt,
        ...told(id, from?.provider, tokens, identity),
        ...originOf(from),
      }
      // At once, so that a store which can makes one commit of them. Until all are there nobody has the id.
      await Promise.all([
        beside?.(id),
        noteEnd(store, session),
        store.put(sessionsTable, id, session, { expiresAt: later(endOf(session), ENDED_KEPT) }),
      ])
      audit({ event: 'session-begin', session, ...(from && { requestId: from.requestId }) })
      return session
    },
    async get(id) {
      const session = (await readable(store.get(sessionsTable, id)))?.value
      return session && endOf(session) > clock.now() ? session : undefined
    },
    tokens: tokensOf,
    async renew({ id }, tokens, identity, expiresAt, from) {
      const now = clock.now()
      const session = await update(id, (current) => {
        const { idleTimeout: _, ...next } = withTokens(current, tokens, identity)
        const ends = earliest(current.expiresAt, expiresAt)
        return { ...next, expiresAt: ends, signedInAt: now, lastSeenAt: now, ...originOf(from) }
      })
      if (session) audit({ event: 'session-renewed', session, ...(from && { requestId: from.requestId }) })
      return session
    },
    keepRefreshToken: (session, refreshToken) =>
      updateSame(session, (current) => {
        const tokens = tokensOf(current)
        return tokens ? { ...current, sealedTokens: sealTokens({ ...tokens, refreshToken }, current.id) } : current
      }),
    postponeRefresh: (session, next) =>
      updateSame(session, (current) => (current.refresh ? { ...current, refresh: next(current.refresh) } : current)),
    replaceTokens: (session, tokens, identity) =>
      updateSame(session, (current) => withTokens(current, tokens, identity)),
    cookieValue: (id, name, host) => cookies.sign(id, name, host),
    async programToken(id, host) {
      // So that people and operators see it.
      const noted = await update(id, (current) => ({
        ...current,
        programs: [...new Set([...(current.programs ?? []), host])].slice(-MAX_PROGRAMS),
      }))
      return noted && PROGRAM_TOKEN_PREFIX + cookies.sign(id, PROGRAM, host)
    },
    readProgramToken(token, host, now) {
      if (!token.startsWith(PROGRAM_TOKEN_PREFIX)) return undefined
      const id = cookies.verify(token.slice(PROGRAM_TOKEN_PREFIX.length), PROGRAM, host)
      return id === undefined ? undefined : (cached(id, now) ?? firstLive([id], now))
    },
    seen(session, now) {
      if (!isNews(session, now) || noting.has(session.id)) return
      noting.add(session.id)
      void update(session.id, (current) => (isNews(current, now) ? { ...current, lastSeenAt: now } : current))
        // Another request will note it.
        .catch(() => undefined)
        .finally(() => noting.delete(session.id))
    },
    async endIfOver(id) {
      const session = (await readable(store.get(sessionsTable, id)))?.value
      if (!session || endOf(session) > clock.now()) return session
      await end(id, reasonOf(session, clock.now()))
      return undefined
    },
    revoke: end,
    async revokePerson(person, reason, before) {
      let count = 0
      for await (const [id, { value }] of store.list(sessionsTable, person)) {
        if ((before !== undefined && value.signedInAt >= before) || endOf(value) <= clock.now()) continue
        if (await end(id, reason)) count++
      }
      return count
    },
    async *list(person) {
      const now = clock.now()
      for await (const [, { value }] of store.list(sessionsTable, person)) if (endOf(value) > now) yield value
    },
    onEnd(listener) {
      // Its own function each time, so that one listener may be added twice and removed once.
      const own = (id: SessionId): void => listener(id)
      endListeners.add(own)
      return () => endListeners.delete(own)
    },
    close() {
      followed.close()
      endListeners.clear()
    },
  }
}

function originOf(from: SignInOrigin | undefined): Pick<Session, 'userAgent' | 'clientIp' | 'idleTimeout'> {
  if (!from) return {}
  const { userAgent, clientIp, idleTimeout } = from
  return {
    userAgent: userAgent.slice(0, MAX_USER_AGENT),
    clientIp,
    ...(idleTimeout !== undefined && { idleTimeout }),
  }
}
