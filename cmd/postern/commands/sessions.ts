import { AppError, ERRORS } from '../../../src/errors.ts'
import { personKey } from '../../../src/lib/person.ts'
import type { Operator, SessionView } from '../../../src/operator.ts'
import { describeDuration } from '../../../src/lib/duration.ts'
import { readConfiguration } from '../configuration.ts'
import type { Io } from '../io.ts'
import { withOperator } from '../operator.ts'
import { count, instant, printable, table } from '../text.ts'
import { isoTime } from '../../../src/lib/time.ts'

export interface SessionsListOptions {
  readonly config: string | undefined
  /** Subject or e-mail address; undefined: everybody. */
  readonly user: string | undefined
  readonly json: boolean
}

export interface SessionsShowOptions {
  readonly config: string | undefined
  /** As `sessions list` and the log's `session` show it. */
  readonly session: string
  readonly json: boolean
}

export interface SessionsRevokeOptions {
  readonly config: string | undefined
  /** As `sessions list` and the log's `session` show it. */
  readonly session: string | undefined
  readonly user: string | undefined
  readonly all: boolean
}

/** Lists who is signed in. Exit code 0, 2 (a store that cannot be shared), 3 (not valid) or 4 (no store). */
export async function sessionsListCommand({ config, user, json }: SessionsListOptions, io: Io): Promise<number> {
  return withStore(config, io, async (operator) => {
    const sessions = await operator.sessions(user)
    if (json) io.out(JSON.stringify(sessions.map(toJson), undefined, 2))
    else if (sessions.length > 0) for (const line of describe(sessions)) io.out(line)
    else io.err(user === undefined ? 'nobody is signed in' : `${printable(user)} is not signed in`)
    return 0
  })
}

/** All that is known of one session. Exit code 0, 1 (there is none), 2 (a store that cannot be shared), 3 (not valid) or 4 (no store). */
export async function sessionsShowCommand(
  { config, session: tag, json }: SessionsShowOptions,
  io: Io,
): Promise<number> {
  return withStore(config, io, async (operator) => {
    const session = await operator.session(tag)
    if (!session) io.err(noSession(tag))
    else if (json) io.out(JSON.stringify(toJson(session), undefined, 2))
    else for (const line of table(['SESSION', session.tag], rowsOf(session))) io.out(line)
    return session ? 0 : 1
  })
}

/** Ends sessions, in a running Postern too. Exit code 0, 1 (there was none), 2 (a store that cannot be shared), 3 (not valid) or 4 (no store). */
export async function sessionsRevokeCommand(options: SessionsRevokeOptions, io: Io): Promise<number> {
  const { config, session, user, all } = options
  if (Number(session !== undefined) + Number(user !== undefined) + Number(all) !== 1) {
    throw new AppError('ERR_USAGE', 'expected one of: a session (see `postern sessions list`), --user, --all')
  }
  return withStore(config, io, async (operator) => {
    if (session !== undefined) {
      const ended = await operator.revoke(session)
      if (ended) io.out(printable(`ended ${ended.tag} of ${nameOf(ended)}`))
      else io.err(noSession(session))
      return ended ? 0 : 1
    }
    const number = await operator.revokeAll(user)
    io.out(printable(`ended ${count(number, 'session')}${user === undefined ? '' : ` of ${user}`}`))
    return number > 0 || all ? 0 : 1
  })
}

async function withStore(
  file: string | undefined,
  io: Io,
  work: (operator: Operator) => Promise<number>,
): Promise<number> {
  const loaded = await readConfiguration(file, io)
  if (!loaded) return ERRORS.ERR_CONFIG_INVALID.exit
  return withOperator(loaded.config, io, work)
}

function noSession(tag: string): string {
  return printable(`there is no session ${JSON.stringify(tag)}; see \`postern sessions list\``)
}

function rowsOf(session: SessionView): readonly (readonly [string, string])[] {
  const { identity } = session
  return [
    ['user', nameOf(session)],
    ['id', identity.subject],
    ['issuer', identity.issuer],
    ['provider', session.provider ?? 'the default one'],
    ['began', instant(session.createdAt)],
    ['signed in', instant(session.signedInAt)],
    ['last seen', instant(session.lastSeenAt)],
    ['ends', instant(session.endsAt)],
    [
      'unused',
      session.idleTimeout === undefined ? 'may be' : `for no longer than ${describeDuration(session.idleTimeout)}`,
    ],
    ['refresh', refreshText(session)],
    ['device', session.userAgent ?? 'unknown'],
    ['address', session.clientIp ?? 'unknown'],
    ['programs', session.programs.join(', ') || 'none'],
  ]
}

function refreshText({ refresh }: SessionView): string {
  if (!refresh) return 'none: the provider gave no refresh token'
  const failed = refresh.failures > 0 ? `, after ${count(refresh.failures, 'attempt')} without an answer` : ''
  return `when it is used after ${instant(refresh.dueAt)}${failed}`
}

function describe(sessions: readonly SessionView[]): readonly string[] {
  const [first] = sessions
  const isOneIssuer = sessions.every(({ identity }) => identity.issuer === first?.identity.issuer)
  const rows = sessions.map((session) => [
    session.tag,
    nameOf(session),
    isOneIssuer ? session.identity.subject : personKey(session.identity),
    instant(session.createdAt),
    instant(session.endsAt),
  ])
  return table(['SESSION', 'USER', 'ID', 'SIGNED IN', 'ENDS'], rows)
}

function nameOf({ identity }: SessionView): string {
  return identity.email ?? identity.name ?? identity.subject
}

function toJson({ tag, identity, ...session }: SessionView): object {
  return {
    session: tag,
    user_id: identity.subject,
    issuer: identity.issuer,
    provider: session.provider ?? null,
    email: identity.email ?? null,
    name: identity.name ?? null,
    began_at: isoTime(session.createdAt),
    signed_in_at: isoTime(session.signedInAt),
    last_seen_at: isoTime(session.lastSeenAt),
    ends_at: isoTime(session.endsAt),
    idle_timeout_seconds: session.idleTimeout === undefined ? null : session.idleTimeout / 1000,
    refresh_due_at: session.refresh ? isoTime(session.refresh.dueAt) : null,
    refresh_failures: session.refresh?.failures ?? null,
    user_agent: session.userAgent ?? null,
    client_ip: session.clientIp ?? null,
    programs: session.programs,
  }
}
