/** A second composition root: what the command line sees and does in the store of a running Postern. */
import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import { resolve } from 'node:path'
import { createFeedTable, type FeedRecord } from './directory/okta/position.ts'
import { createDirectoryTable, type DirectoryRecord } from './directory/records.ts'
import { freshAtOf, sourceNameOf, toMembership } from './directory/view.ts'
import { AppError } from './errors.ts'
import { randomId } from './lib/crypto.ts'
import { createKeyRings } from './lib/key-ring.ts'
import { createAudit, sessionTag } from './lib/audit.ts'
import { createFreshness, OF_THIS_MACHINE } from './lib/freshness.ts'
import { createIssuer, subjectOf } from './lib/person.ts'
import { postErrand } from './session/errands.ts'
import { endOf } from './session/life.ts'
import { createSessions } from './session/sessions.ts'
import { compareStoreKey } from './store/key-check.ts'
import { openStore } from './store/open.ts'
import type { Clock, Identity, Logger, PersonKey, SourceTime, Span, Subject, WallTime } from './types.ts'
import type { RefreshPlan, Session } from './session/model.ts'
import type { ServiceTokens } from './tokens/model.ts'
import { createServiceTokens } from './tokens/service-tokens.ts'
import type { Config } from './config/model.ts'
import type { Group, Membership, UserStatus } from './directory/model.ts'
import { elapsed, wallTime } from './lib/time.ts'

/** A session as an operator may see it: without its id, which is half of a cookie. */
export interface SessionView {
  /** The `session` of log lines: names the session and opens nothing. */
  readonly tag: string
  readonly identity: Identity
  /** Name of the identity provider; undefined: the record is older than names. */
  readonly provider: string | undefined
  readonly createdAt: WallTime
  readonly signedInAt: WallTime
  readonly lastSeenAt: WallTime
  /** When it ends if nobody uses it any more. */
  readonly endsAt: WallTime
  /** undefined: no limit but `cookie_expire`. */
  readonly idleTimeout: Span | undefined
  /** undefined: the provider gave no refresh token. */
  readonly refresh: RefreshPlan | undefined
  /** What the browser called itself, and where it signed in from; undefined: the record is older than that. */
  readonly userAgent: string | undefined
  readonly clientIp: string | undefined
  /** Hosts for which programs have a token of it. */
  readonly programs: readonly string[]
}

/** What is known about one person's groups, and since when. */
export interface PersonView {
  readonly person: PersonKey
  readonly subject: Subject
  /** undefined: nobody has said; only a sign-in or the source knows. */
  readonly email: string | undefined
  /** Of the newest session; undefined when there is none. */
  readonly identity: Identity | undefined
  /** undefined: never read. */
  readonly record: PersonRecord | undefined
}

export interface PersonRecord {
  readonly status: UserStatus
  /** The source's own word: `SUSPENDED`. */
  readonly statusText: string
  readonly groups: readonly Group[]
  readonly source: string
  /** The source's time of the evidence; undefined when the source has no such person. */
  readonly asOf: SourceTime | undefined
  /** Our time when the reading began. */
  readonly readAt: WallTime
  /** Until when a change would be known, on our clock: the reading, or a later look of the feed that covers it. */
  readonly freshAt: WallTime
  /** What rules see: 'unknown' when it is too old, or of a source that is no longer configured. */
  readonly membership: Membership | 'unknown'
}

/** How far the change feed has come, whichever process follows it. */
export interface FeedView {
  /** Our clock: what happened before has been heard. undefined: not once yet. */
  readonly upTo: WallTime | undefined
  /** Okta's time of the newest event that was read. */
  readonly newestEventAt: SourceTime
}

export interface Operator {
  /**
   * Live sessions, newest first. `user`: a subject, an e-mail address, or issuer and subject with a space between;
   * everybody's without it.
   */
  sessions(user?: string): Promise<readonly SessionView[]>
  /** The session with this tag; undefined: there is none. */
  session(tag: string): Promise<SessionView | undefined>
  /** Ends the session with this tag; undefined: there is none. */
  revoke(tag: string): Promise<SessionView | undefined>
  /** Ends all sessions of a person, or of everybody. Throws ERR_USAGE for a subject that two issuers have given. */
  revokeAll(user?: string): Promise<number>
  /** Everybody who fits: one for a subject of one issuer, perhaps several for an e-mail address, nobody when nothing is known. */
  people(user: string): Promise<readonly PersonView[]>
  /** Everybody whose groups are known. */
  everybody(): AsyncIterable<PersonView>
  readonly tokens: Pick<ServiceTokens, 'create' | 'list' | 'revoke' | 'idOf'>
  /** Of the directory of this person, or the first that has one. undefined: there is no feed. */
  feed(person?: PersonKey): Promise<FeedView | undefined>
  close(): Promise<void>
}

export interface OperatorDeps {
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Opens the store that a running Postern may have open too: what is revoked here ends there at once.
 * Throws ERR_USAGE for a store that cannot be shared, ERR_STORE_UNAVAILABLE when there is none, and
 * ERR_CONFIG_INVALID for one of another shared secret; never makes one. Not for Postern's own process: LMDB must not
 * open a map twice in one, and closing either breaks the other (MDB_BAD_RSLOT).
 */
export async function openOperator(config: Config, { clock, logger }: OperatorDeps): Promise<Operator> {
  const { storage } = config.fixed
  let { sharedSecrets } = config.live.credentials
  const keyRings = createKeyRings(() => sharedSecrets)
  if (storage.kind === 'memory') {
    throw new AppError(
      'ERR_USAGE',
      'storage.type is memory: sessions, groups and tokens are known to the running process alone; restart it to end all sessions, or configure another store',
    )
  }
  if (storage.kind === 'embedded' && !existsSync(storage.path)) {
    throw new AppError(
      'ERR_STORE_UNAVAILABLE',
      `there is no store at ${resolve(storage.path)}: run this where Postern runs, with its configuration and in its working directory`,
    )
  }
  const store = await openStore(config.fixed, { keyRings, clock, logger })
  try {
    // With another secret there would seem to be nobody to sign out, and what is written nobody could read.
    const sealing = sharedSecrets[await compareStoreKey(store, keyRings)]
    // As the running Postern seals: a new secret need not be known to all of its processes.
    if (sealing) sharedSecrets = [sealing, ...sharedSecrets.filter((secret) => secret !== sealing)]
  } catch (error) {
    await store.close()
    throw error
  }
  const told = new Set<Promise<void>>()
  // A running Postern writes the line: the log of a command goes nowhere.
  const audit = createAudit({
    audit: (fields, message) =>
      void told.add(
        postErrand(store, clock, {
          kind: 'audit',
          key: randomId(),
          fields: { ...fields, operator: operatorName() },
          message,
        }),
      ),
  })
  const sessions = createSessions({ store, clock, keyRings, audit })
  const freshness = createFreshness({ store, clock, trust: OF_THIS_MACHINE })
  const tokens = createServiceTokens({ store, clock, audit, freshness })
  const table = createDirectoryTable()
  /** By issuer: providers of one share their directory. */
  const directories = new Map(config.fixed.idps.map(({ issuer, directory }) => [issuer, directory]))
  const scopes = [...directories].map(([issuer, directory]) => ({ issuer: createIssuer(issuer), directory }))
  type Scope = (typeof scopes)[number]

  /** undefined: of somebody of another issuer the running Postern knows nothing either. */
  const scopeOf = (person: PersonKey): Scope | undefined =>
    scopes.find(({ issuer }) => issuer.subject(person) !== undefined)

  async function sessionsOf(user: string | undefined): Promise<readonly Session[]> {
    const found: Session[] = []
    for await (const session of sessions.list()) if (user === undefined || isOf(session, user)) found.push(session)
    return found.toSorted((a, b) => elapsed(b.createdAt, a.createdAt))
  }

  async function sessionCalled(tag: string): Promise<Session | undefined> {
    for await (const session of sessions.list()) if (sessionTag(session.id) === tag) return session
    return undefined
  }

  async function readFeed({ directory }: Scope): Promise<FeedRecord | undefined> {
    if (!('url' in directory)) return undefined
    return (await store.get(createFeedTable(), directory.url.origin))?.value
  }

  async function personOf(person: PersonKey, session: Session | undefined): Promise<PersonView> {
    const scope = scopeOf(person)
    const record = scope && (await store.get(table, person))?.value
    return viewPerson(person, session, record && viewRecord(record, scope, await readFeed(scope)))
  }

  /** As the directory of a running Postern would answer. */
  function viewRecord(record: DirectoryRecord, { directory }: Scope, feed: FeedRecord | undefined): PersonRecord {
    const { source, status, statusText, groups, asOf, readAt, doubtAt } = record
    const freshAt = freshAtOf(readAt, doubtAt, feed && feed.upTo > wallTime(0) ? feed : undefined)
    const isFresh = elapsed(clock.now(), freshAt) <= directory.maxStaleness
    const known = source === sourceNameOf(directory) && isFresh
    const membership = known ? toMembership(record, freshAt, source) : 'unknown'
    return { status, statusText, groups, source, asOf, readAt, freshAt, membership }
  }

  return {
    tokens,

    sessions: async (user) => (await sessionsOf(user)).map(viewSession),

    async session(tag) {
      const session = await sessionCalled(tag)
      return session && viewSession(session)
    },

    async revoke(tag) {
      const session = await sessionCalled(tag)
      if (session) await sessions.revoke(session.id, 'revoked-by-operator')
      return session && viewSession(session)
    },

    async revokeAll(user) {
      const found = await sessionsOf(user)
      const people = new Set(found.filter(({ identity }) => identity.subject === user).map(({ person }) => person))
      if (people.size > 1) {
        throw new AppError(
          'ERR_USAGE',
          `people of several issuers have this id; give one of: ${[...people].join(', ')}`,
        )
      }
      for (const { id } of found) await sessions.revoke(id, 'revoked-by-operator')
      return found.length
    },

    async people(user) {
      const newest = new Map((await sessionsOf(user)).toReversed().map((session) => [session.person, session]))
      if (newest.size > 0) return Promise.all([...newest].map(([person, session]) => personOf(person, session)))
      const keys = scopes.map(({ issuer }) => issuer.person(issuer.subject(user as PersonKey) ?? user))
      const people = await Promise.all(keys.map((key) => personOf(key, undefined)))
      return people.filter(({ record }) => record)
    },

    async *everybody() {
      const newest = new Map((await sessionsOf(undefined)).toReversed().map((session) => [session.person, session]))
      const feeds = new Map(await Promise.all(scopes.map(async (scope) => [scope, await readFeed(scope)] as const)))
      for await (const [key, { value }] of store.list(table)) {
        const person = key as PersonKey
        const scope = scopeOf(person)
        if (scope) yield viewPerson(person, newest.get(person), viewRecord(value, scope, feeds.get(scope)))
      }
    },

    async feed(person) {
      const scope = person === undefined ? scopes.find(({ directory }) => 'url' in directory) : scopeOf(person)
      const feed = scope && (await readFeed(scope))
      return feed && { upTo: feed.upTo > wallTime(0) ? feed.upTo : undefined, newestEventAt: feed.lastPublished }
    },

    async close() {
      sessions.close()
      tokens.close()
      await Promise.allSettled(told)
      await store.close()
    },
  }
}

function isOf({ person, identity }: Session, user: string): boolean {
  return identity.subject === user || person === user || identity.email === user.toLowerCase()
}

function viewPerson(person: PersonKey, session: Session | undefined, record: PersonRecord | undefined): PersonView {
  const identity = session?.identity
  return { person, subject: subjectOf(person), email: identity?.email, identity, record }
}

function viewSession(session: Session): SessionView {
  const { id, identity, provider, createdAt, signedInAt, lastSeenAt, idleTimeout, refresh, userAgent, clientIp } =
    session
  return {
    tag: sessionTag(id),
    identity,
    provider,
    createdAt,
    signedInAt,
    lastSeenAt,
    endsAt: endOf(session),
    idleTimeout,
    refresh,
    userAgent,
    clientIp,
    programs: session.programs ?? [],
  }
}

/** Who runs the command: the account, or its number when it has no name. */
function operatorName(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.getuid?.() ?? 'unknown')
  }
}
