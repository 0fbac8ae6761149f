/** What a session is, and the seam behind which sessions live. Types only. */
import type { Identity, Tokens, PersonKey, SessionId, Span, Unsubscribe, WallTime } from '../types.ts'

export interface Session {
  readonly id: SessionId
  readonly person: PersonKey
  readonly identity: Identity
  /** Name of the identity provider; absent in older records: the default one. */
  readonly provider?: string
  readonly createdAt: WallTime
  /** When the person last signed in at the provider for it: the begin, or a later sign-in of the same browser. */
  readonly signedInAt: WallTime
  /** The newest request of the person that was noted. */
  readonly lastSeenAt: WallTime
  /** What the browser called itself at the sign-in, bounded, and where it came from. */
  readonly userAgent?: string
  readonly clientIp?: string
  /** Hosts for which programs have a token of it. */
  readonly programs?: readonly string[]
  /** Absolute; activity does not move it. */
  readonly expiresAt: WallTime
  /** It ends when nobody uses it for so long (session/life.ts); absent: no such limit. */
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
  /** By the person: here, everywhere, or one of theirs from their own page. */
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
  /** The identity provider takes the refresh token no more, or answered for somebody else. */
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
  /** From the cookies called `name` of a raw Cookie header. Anything unreadable is signed out (undefined); only a store fault rejects. */
  read(cookie: string, name: string, host: string, now: WallTime): Promise<Session | undefined> | Session | undefined
  /** Of the cookies called `name` with a good MAC, whether their sessions live or not. */
  signedIds(cookie: string, name: string, host: string): readonly SessionId[]
  /** `beside`: writes, in the same moment, what is to be there with the session. */
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
   * The same person signed in again: the session goes on, with what the provider says now, no longer than it would have and
   * than what was said may be believed (`expiresAt`). undefined: it ended meanwhile.
   */
  renew(
    session: Session,
    tokens: Tokens,
    identity: Identity,
    expiresAt: WallTime,
    from?: SignInOrigin,
  ): Promise<Session | undefined>
  /** The refresh token that counts from now on; the rest of the answer follows. undefined: it ended meanwhile. */
  keepRefreshToken(session: Session, refreshToken: string): Promise<Session | undefined>
  postponeRefresh(session: Session, next: (plan: RefreshPlan) => RefreshPlan): Promise<Session | undefined>
  /** What a refresh brought. undefined: it ended meanwhile. */
  replaceTokens(session: Session, tokens: Tokens, identity: Identity): Promise<Session | undefined>
  /** Somebody used it: noted now and then, in the background. Never rejects. */
  seen(session: Session, now: WallTime): void
  /** Ends it if its time is over; the session when it is not. */
  endIfOver(id: SessionId): Promise<Session | undefined>
  /** `v1.<id>.<mac>`: good for a cookie of this name on this host, and useless anywhere else. */
  cookieValue(id: SessionId, name: string, host: string): string
  /** `psl_…`: a bearer token of the session for programs, good on this host alone (lib/program-token.ts). undefined: it has ended. */
  programToken(id: SessionId, host: string): Promise<string | undefined>
  /** Whose token of a program this is; undefined: of no live session, or for another host. */
  readProgramToken(token: string, host: string, now: WallTime): Promise<Session | undefined> | Session | undefined
  /** Ends it, wherever it is used; the audit line is written here. undefined: it had ended before. */
  revoke(id: SessionId, reason: SessionEnd, requestId?: string): Promise<Session | undefined>
  /** Sessions whose last sign-in was before, or all; gives how many ended. */
  revokePerson(person: PersonKey, reason: SessionEnd, before?: WallTime): Promise<number>
  /** Live sessions of one person, or of everybody. */
  list(person?: PersonKey): AsyncIterable<Session>
  /** Sessions that ended anywhere (this process, another worker, the command line). */
  onEnd(listener: (id: SessionId) => void): Unsubscribe
  close(): void
}
