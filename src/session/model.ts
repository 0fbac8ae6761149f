/** What a session is, and the seam behind which sessions live. Types only. */
import type { Identity, Tokens, PersonKey, SessionId, Span, Unsubscribe, WallTime } from '../types.ts'

export interface Session {
  readonly id: SessionId
  readonly person: PersonKey
  readonly identity: Identity
  /** Name of the identity provider; absent in older records: the default one. */
  readonly provider?: string
  readonly createdAt: WallTime
  /** When the person last signed in for it: its begin, or a later sign-in with the same browser. */
  readonly signedInAt: WallTime
  /** The newest request of the person that was noted. */
  readonly lastSeenAt: WallTime
  /** `User-Agent` of the sign-in, bounded, and the address that it came from. */
  readonly userAgent?: string
  readonly clientIp?: string
  /** Hosts for which programs have a token of it. */
  readonly programs?: readonly string[]
  /** Absolute; activity does not move it. */
  readonly expiresAt: WallTime
  /** It ends when it is not used for this long (session/life.ts); absent: no such limit. */
  readonly idleTimeout?: Span
  /** Sealed `Tokens`. */
  readonly sealedTokens: string
  /** Absent: the provider gave no refresh token. */
  readonly refresh?: RefreshPlan
}

/** When the provider is asked for new tokens of a session. */
export interface RefreshPlan {
  /** From then on, in the background. */
  readonly dueAt: WallTime
  /** The tokens have ended, or what was said with them is too old: requests wait for the answer. */
  readonly lapsesAt: WallTime
  /** Attempts since the last that brought an answer. */
  readonly failures: number
  /** When the last of these began. */
  readonly triedAt?: WallTime
}

/** Why a session ended. A closed vocabulary: what operators search their logs for. */
export type SessionEnd =
  /** By the person: on this browser, everywhere, or another session from their own page. */
  | 'signed-out'
  | 'signed-out-everywhere'
  | 'ended-by-person'
  /** Somebody else signed in with the same browser. */
  | 'replaced'
  /** `cookie_expire` and `session_idle_timeout`. */
  | 'expired'
  | 'idle'
  /** `postern sessions revoke`. */
  | 'revoked-by-operator'
  /** The identity provider no longer accepts the refresh token, or answered for somebody else. */
  | 'refresh-refused'
  | 'refresh-mismatch'
  /** The directory: the account is not active, or its sessions were cleared. */
  | 'directory'
  /** The identity provider told us. */
  | 'back-channel-logout'
  | 'universal-logout'
  | 'shared-signal'

/** The request that completed a sign-in. */
export interface SignInOrigin {
  /** As configured at that moment (`session_idle_timeout`). */
  readonly idleTimeout?: Span
  /** Name of the identity provider. */
  readonly provider: string
  readonly requestId: string
  readonly userAgent: string
  readonly clientIp: string
}

export interface Sessions {
  /** By the cookies called `name` of a raw Cookie header. What cannot be read is no session (undefined); only a fault of the store rejects. */
  read(cookie: string, name: string, host: string, now: WallTime): Promise<Session | undefined> | Session | undefined
  /** Of the cookies called `name` with a good MAC, whether their sessions live or not. */
  signedIds(cookie: string, name: string, host: string): readonly SessionId[]
  /** `beside` writes at the same moment what belongs to the session. */
  create(
    identity: Identity,
    tokens: Tokens,
    expiresAt: WallTime,
    from?: SignInOrigin,
    beside?: (id: SessionId) => Promise<unknown>,
  ): Promise<Session>
  get(id: SessionId): Promise<Session | undefined>
  tokens(session: Pick<Session, 'id' | 'sealedTokens'>): Tokens | undefined
  /**
   * The same person signed in again: the session goes on with what the provider says now. It ends when it would have ended,
   * or at `expiresAt` if that is sooner. undefined: it ended meanwhile.
   */
  renew(
    session: Session,
    tokens: Tokens,
    identity: Identity,
    expiresAt: WallTime,
    from?: SignInOrigin,
  ): Promise<Session | undefined>
  /** Stores the new refresh token; the rest of the answer follows. undefined: the session ended meanwhile. */
  keepRefreshToken(session: Session, refreshToken: string): Promise<Session | undefined>
  postponeRefresh(session: Session, next: (plan: RefreshPlan) => RefreshPlan): Promise<Session | undefined>
  /** Stores what a refresh brought. undefined: the session ended meanwhile. */
  replaceTokens(session: Session, tokens: Tokens, identity: Identity): Promise<Session | undefined>
  /** Notes that it was used: now and then, in the background. Never rejects. */
  seen(session: Session, now: WallTime): void
  /** Ends it if its time is over; gives the session if it is not. */
  endIfOver(id: SessionId): Promise<Session | undefined>
  /** `v1.<id>.<mac>`: good for a cookie of this name on this host, and useless anywhere else. */
  cookieValue(id: SessionId, name: string, host: string): string
  /** `psl_…`: a bearer token of the session for programs, good on this host alone (lib/program-token.ts). undefined: it has ended. */
  programToken(id: SessionId, host: string): Promise<string | undefined>
  /** The session of a program's token; undefined: it has ended, or the token is for another host. */
  readProgramToken(token: string, host: string, now: WallTime): Promise<Session | undefined> | Session | undefined
  /** Ends it in all processes, and writes the audit line. undefined: it had ended before. */
  revoke(id: SessionId, reason: SessionEnd, requestId?: string): Promise<Session | undefined>
  /** Ends the person's sessions whose last sign-in was before that instant, or all; gives how many. */
  revokePerson(person: PersonKey, reason: SessionEnd, before?: WallTime): Promise<number>
  /** Live sessions of one person, or of everybody. */
  list(person?: PersonKey): AsyncIterable<Session>
  /** Sessions that ended anywhere (this process, another worker, the command line). */
  onEnd(listener: (id: SessionId) => void): Unsubscribe
  close(): void
}
