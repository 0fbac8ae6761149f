/** A second composition root: what the command line sees and does beside a running Postern. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { CLAIMS_SOURCE } from './directory/claims.ts'
import { createOktaClient } from './directory/okta/client.ts'
import { compileShapes } from './directory/okta/shapes.ts'
import { createOktaSource } from './directory/okta/source.ts'
import { createDirectoryTable, type DirectoryRecord } from './directory/records.ts'
import { AppError } from './errors.ts'
import { sessionTag } from './proxy/access-log.ts'
import { createSessions } from './session/sessions.ts'
import { openLmdbStore } from './store/lmdb.ts'
import type {
  Clock,
  Config,
  Group,
  Identity,
  Logger,
  Membership,
  Millis,
  Session,
  Subject,
  UserStatus,
} from './types.ts'
import { createMembership } from './policy/membership.ts'

/** A session as an operator may see it: without its id, which is half of a cookie. */
export interface SessionView {
  /** The `session` of log lines: names the session and opens nothing. */
  readonly tag: string
  readonly identity: Identity
  readonly createdAt: Millis
  readonly expiresAt: Millis
}

/** What is known about one person's groups, and since when. */
export interface PersonView {
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
  readonly asOf: Millis | undefined
  /** Our time when the reading began. */
  readonly readAt: Millis
  /** What rules see: 'unknown' when it is too old, or of a source that is no longer configured. */
  readonly membership: Membership | 'unknown'
}

export interface Operator {
  /** Live sessions, newest first. `user`: a subject or an e-mail address; everybody's without it. */
  sessions(user?: string): Promise<readonly SessionView[]>
  /** Ends the session with this tag; undefined: there is none. */
  revoke(tag: string): Promise<SessionView | undefined>
  /** Ends all sessions of a person, or of everybody. */
  revokeAll(user?: string): Promise<number>
  /** Everybody who fits: one for a subject, perhaps several for an e-mail address, nobody when nothing is known. */
  people(user: string): Promise<readonly PersonView[]>
  /** Everybody whose groups are known. */
  everybody(): AsyncIterable<PersonView>
  close(): Promise<void>
}

export interface OperatorDeps {
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Opens the embedded store that a running Postern may have open too: what is revoked here ends there at once.
 * Throws ERR_STORE_UNAVAILABLE when there is no store to share; never makes one. Not for Postern's own process: LMDB must not
 * open a map twice in one, and closing either breaks the other (MDB_BAD_RSLOT).
 */
export function openOperator(config: Config, { clock, logger }: OperatorDeps): Operator {
  const { storage, sharedSecrets } = config
  if (storage.kind === 'memory') {
    throw new AppError(
      'ERR_STORE_UNAVAILABLE',
      'storage.type is memory: sessions and groups are known to the running process alone; restart it to end all sessions, or configure the embedded store',
    )
  }
  if (!existsSync(storage.path)) {
    throw new AppError(
      'ERR_STORE_UNAVAILABLE',
      `there is no store at ${resolve(storage.path)}: run this where Postern runs, with its configuration and in its working directory`,
    )
  }
  const store = openLmdbStore({ path: storage.path, clock, logger })
  const sessions = createSessions({ store, clock, sharedSecrets, cookieNames: [] })
  const table = createDirectoryTable()

  async function sessionsOf(user: string | undefined): Promise<readonly Session[]> {
    const found: Session[] = []
    for await (const session of sessions.list()) if (user === undefined || isOf(session, user)) found.push(session)
    return found.toSorted((a, b) => b.createdAt - a.createdAt)
  }

  async function personOf(subject: Subject, session: Session | undefined): Promise<PersonView> {
    const record = (await store.get(table, subject))?.value
    const identity = session?.identity
    return { subject, email: identity?.email, identity, record: record && viewRecord(record) }
  }

  function viewRecord({ source, status, statusText, groups, asOf, readAt }: DirectoryRecord): PersonRecord {
    const { directory } = config
    // Claims cannot be read again; their sessions end instead of growing stale.
    const known =
      directory.kind === 'claims'
        ? source === CLAIMS_SOURCE
        : source !== CLAIMS_SOURCE && clock.now() - readAt <= directory.maxStaleness
    const membership = known ? createMembership(groups, asOf ?? readAt, source) : 'unknown'
    return { status, statusText, groups, source, asOf, readAt, membership }
  }

  return {
    sessions: async (user) => (await sessionsOf(user)).map(viewSession),

    async revoke(tag) {
      const session = (await sessionsOf(undefined)).find(({ id }) => sessionTag(id) === tag)
      if (session) await sessions.revoke(session.id)
      return session && viewSession(session)
    },

    async revokeAll(user) {
      const found = await sessionsOf(user)
      for (const { id } of found) await sessions.revoke(id)
      return found.length
    },

    async people(user) {
      const newest = new Map<Subject, Session>()
      for (const session of await sessionsOf(user)) {
        if (!newest.has(session.subject)) newest.set(session.subject, session)
      }
      if (newest.size > 0) return Promise.all([...newest].map(([subject, session]) => personOf(subject, session)))
      const person = await personOf(user, undefined)
      return person.record ? [person] : []
    },

    async *everybody() {
      const newest = new Map((await sessionsOf(undefined)).toReversed().map((session) => [session.subject, session]))
      for await (const [subject, { value }] of store.list(table)) {
        const identity = newest.get(subject)?.identity
        yield { subject, email: identity?.email, identity, record: viewRecord(value) }
      }
    },

    async close() {
      sessions.close()
      await store.close()
    },
  }
}

/**
 * One person as Okta sees them now; `user` is an Okta user id or a login. undefined: Okta has no such person.
 * Throws ERR_USAGE without a service account, ERR_DIRECTORY_… when Okta does not answer.
 */
export async function readLive(
  config: Config,
  user: string,
  { clock, logger }: OperatorDeps,
  signal: AbortSignal,
): Promise<PersonView | undefined> {
  const { directory } = config
  if (directory.kind !== 'okta') {
    throw new AppError('ERR_USAGE', '--live reads groups with a service account: configure idp_service_account')
  }
  const client = createOktaClient({ ...directory, origin: directory.url.origin, clock, logger })
  try {
    const readAt = clock.now()
    const path = `/api/v1/users/${encodeURIComponent(user)}`
    const body = (await client.get(path, {}, { signal, priority: 'confirm' }))?.body
    if (!compileShapes().isUser(body)) return undefined
    // Okta also finds people by short names, `me` among them; an address is a login, anything else must be the id.
    if (!user.includes('@') && body.id !== user) return undefined
    const entry = await createOktaSource({ client, clock, logger }).lookup(body.id, signal, 'confirm')
    if (!entry) return undefined
    const { subject, status, statusText, groups, asOf } = entry
    const membership = createMembership(groups, asOf, 'okta')
    return {
      subject,
      email: emailOf(body),
      identity: undefined,
      record: { status, statusText, groups, source: 'okta', asOf, readAt, membership },
    }
  } finally {
    await client.close()
  }
}

function isOf({ subject, identity }: Session, user: string): boolean {
  return subject === user || identity.email === user.toLowerCase()
}

function viewSession({ id, identity, createdAt, expiresAt }: Session): SessionView {
  return { tag: sessionTag(id), identity, createdAt, expiresAt }
}

function emailOf(user: object): string | undefined {
  const profile: unknown = 'profile' in user ? user.profile : undefined
  const email: unknown = typeof profile === 'object' && profile && 'email' in profile ? profile.email : undefined
  return typeof email === 'string' && email !== '' ? email.toLowerCase() : undefined
}
